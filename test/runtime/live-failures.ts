/**
 * The engine's process is stopped, and at last killed, in the middle of a stream: its caller is
 * told so, and no end looks clean. Needs the process on this machine (`--pid`).
 */
import { bodyOf } from "./live-cache.ts";
import { FOREVER } from "./live-identity.ts";
import { expectSame, expectThat, NotOffered, type Report } from "./live-report.ts";
import {
  good,
  type Json,
  type Live,
  startPopBefore,
  stateOf,
  type Streamed,
  stream,
  untilIdle,
  user,
} from "./live-scene.ts";
import { eventually } from "./pop-process.ts";

const IDLE_MS = 1_500;
const CHUNKS = 3;

export async function checkFailures(live: Live, report: Report): Promise<void> {
  await report.check("it hangs in a stream: an error event", () => hangs(live));
  await report.check("it dies in a stream: an error event", () => dies(live));
}

function pidOf({ options }: Live): number {
  if (options.pid === undefined) throw new NotOffered("no --pid given");
  return options.pid;
}

const long = (live: Live, isStream = true): Json => ({
  ...bodyOf(live, [user("Tell a very long story.")], 3_000),
  ...FOREVER,
  stream: isStream,
});

/** A stream in whose middle something happens to the engine. */
function interrupted(live: Live, signal: NodeJS.Signals): Promise<Streamed> {
  const pid = pidOf(live);
  let isSent = false;
  return stream(live.door, "/v1/chat/completions", long(live), (_, count) => {
    if (count < CHUNKS || isSent) return;
    isSent = true;
    process.kill(pid, signal);
  });
}

function expectTold(streamed: Streamed): string {
  const { events, isDone, broken } = streamed;
  expectThat(events.length >= CHUNKS, `only ${events.length} events came`);
  const error = events.at(-1)?.error as { message?: string; code?: string } | undefined;
  // Behind its own error event vLLM writes [DONE]: clients throw at the event.
  const end = isDone ? "ends as if it were complete" : `breaks off: ${broken ?? "a clean end"}`;
  expectThat(error !== undefined, `no error event, the stream ${end}`);
  return `${events.length - 1} chunks, then ${error.code}: ${error.message}`;
}

async function hangs(live: Live): Promise<string> {
  const pid = pidOf(live);
  await untilIdle(live);
  const pop = await startPopBefore(live.options, { timeouts: { idleMs: IDLE_MS } });
  try {
    const impatient = { ...live, pop, door: { ...live.door, base: pop.base } };
    const told = expectTold(await interrupted(impatient, "SIGSTOP"));
    process.kill(pid, "SIGCONT");
    await eventually(
      "ready again",
      async () => (await stateOf(live.pop)).endpoint.phase === "ready",
      30_000,
    );
    await good(live.door, "/v1/chat/completions", bodyOf(live, [user("Still well?")]));
    return `${told}; and well again`;
  } finally {
    process.kill(pid, "SIGCONT");
    await pop.stop();
  }
}

async function dies(live: Live): Promise<string> {
  pidOf(live);
  await untilIdle(live);
  const told = expectTold(await interrupted(live, "SIGKILL"));
  await eventually(
    "it is down",
    async () => (await stateOf(live.pop)).endpoint.phase === "down",
    30_000,
  );
  const ready = await fetch(`${live.pop.base}/readyz`);
  expectSame(ready.status, 503, "/readyz");
  return told;
}
