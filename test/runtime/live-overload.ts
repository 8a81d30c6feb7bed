/** Far more at once than the engine runs: nothing is lost, and what waits does so in the PoP. */
import { bodyOf } from "./live-cache.ts";
import { FOREVER } from "./live-identity.ts";
import { expectThat, ms, type Report } from "./live-report.ts";
import {
  gauges,
  type Json,
  type Live,
  pause,
  stateOf,
  stream,
  untilIdle,
  user,
} from "./live-scene.ts";

const AT_ONCE = 32;
const TOKENS = 32;

export async function checkOverload(live: Live, report: Report): Promise<void> {
  await report.check(`${AT_ONCE} at once: nothing is lost`, () => overload(live));
}

interface Most {
  running: number;
  waiting: number;
  queued: number;
}

async function overload(live: Live): Promise<string> {
  await untilIdle(live);
  const startMs = performance.now();
  let isOver = false;
  const most: Most = { running: 0, waiting: 0, queued: 0 };
  const watching = watch(live, most, () => isOver);
  const calls = Array.from({ length: AT_ONCE }, (_, index) => one(live, index));
  const ends = await Promise.all(calls);
  const tookMs = performance.now() - startMs;
  isOver = true;
  await watching;
  const lost = ends.filter((end) => end !== "whole");
  const found = `at most ${most.running} ran, ${most.waiting} waited in it, ${most.queued} here`;
  expectThat(lost.length === 0, `${lost.length} lost (${lost[0]}); ${found}`);
  const { maxRunning } = live.options;
  if (maxRunning !== undefined && maxRunning < AT_ONCE) {
    expectThat(most.waiting === 0, `what waits does so in the engine: ${found}`);
    expectThat(most.queued > 0, `nothing waited in the PoP: ${found}`);
  }
  return `${found}; ${ms(tookMs)}`;
}

async function one(live: Live, index: number): Promise<string> {
  const messages = [user(`Question ${index}: `.repeat(8))];
  const sent: Json = { ...bodyOf(live, messages, TOKENS), ...FOREVER, stream: true };
  try {
    const { isDone, broken } = await stream(live.door, "/v1/chat/completions", sent);
    return isDone && broken === undefined ? "whole" : `broken: ${broken}`;
  } catch (error) {
    return (error as Error).message;
  }
}

async function watch(live: Live, most: Most, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    const [own, state] = await Promise.all([gauges(live), stateOf(live.pop)]);
    most.running = Math.max(most.running, own?.running ?? 0, state.endpoint.inFlight);
    most.waiting = Math.max(most.waiting, own?.waiting ?? 0);
    most.queued = Math.max(most.queued, state.queue.length);
    await pause(20);
  }
}
