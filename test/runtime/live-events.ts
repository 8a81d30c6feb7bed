/** What the engine's cache holds, by its KV events: read whole, followed, and taken back. */
import { errorPercent } from "./kv-scene.ts";
import { bodyOf, chunkPercent, document, hit, LIMIT_PERCENT, question } from "./live-cache.ts";
import { expectSame, expectThat, NotOffered, type Report } from "./live-report.ts";
import { ask, explain, good, type Live, type Message, pause, stateOf } from "./live-scene.ts";
import { eventually } from "./pop-process.ts";

/** Caches up to so many tokens are filled, to see an eviction. */
const FILL_MAX = 200_000;
const SETTLED_MS = 700;

export async function checkEvents(live: Live, report: Report): Promise<void> {
  await report.check("KV events are read, all of them", () => read(live));
  await report.check("its cache is known to the token", () => exact(live));
  await report.check("an emptied cache is forgotten", () => emptied(live));
  await report.check("what others sent is known by events alone", () => strangers(live));
  await report.check("what it evicts is forgotten", () => evicted(live));
  await report.check("a PoP that comes later learns by replay", () => replayed(live));
}

async function followed({ pop }: Live) {
  const { kvEvents } = (await stateOf(pop)).endpoint;
  if (kvEvents === null) throw new NotOffered("no --kv-events given");
  return kvEvents;
}

async function read(live: Live): Promise<string> {
  await followed(live);
  await hit(live, [await document(live), question()]);
  const state = await eventually("events in order", async () => {
    const now = await followed(live);
    return now.received > 0 && now.trust !== "syncing" && now;
  });
  const { trust, blocks, badEvents, orphans, resets, replayFailures } = state;
  expectSame({ badEvents, resets }, { badEvents: 0, resets: 0 }, "what went wrong");
  expectThat(blocks > 0, "events came and no block is known");
  if (live.options.kvReplay !== undefined) {
    expectSame({ trust, orphans, replayFailures }, WHOLE, "after the replay");
  }
  const counted = `${state.received} batches, ${String(state.replayed)} of replays`;
  return `${trust}: ${counted}, ${blocks} blocks`;
}

const WHOLE = { trust: "whole", orphans: 0, replayFailures: 0 };

async function exact(live: Live): Promise<string> {
  await followed(live);
  const shared = await document(live);
  for (let round = 0; round < 2; round++) {
    await hit(live, [shared, question()]);
    await pause(SETTLED_MS);
  }
  const asked = [];
  for (let round = 0; round < 4; round++) {
    asked.push(await hit(live, [shared, question()]));
    await pause(SETTLED_MS);
  }
  const off = asked.map(({ predicted, cached }) => predicted - cached);
  expectThat(errorPercent(asked) < LIMIT_PERCENT, `off by ${off.join(", ")} tokens`);
  return `off by ${off.join(", ")} tokens of ${asked[0]?.cached}`;
}

async function matched(live: Live, messages: Message[]): Promise<number> {
  return (await explain(live, bodyOf(live, messages))).matchedTokens;
}

/** vLLM has this route with VLLM_SERVER_DEV_MODE=1, SGLang has /flush_cache. */
const EMPTY = ["/reset_prefix_cache", "/flush_cache"];

async function empty(live: Live): Promise<string> {
  for (const path of EMPTY) {
    const { status } = await ask(live.engine, "POST", path);
    if (status !== 200) continue;
    // vLLM publishes with its steps: what it says of an idle engine's cache comes with the next.
    await good(live.engine, "/v1/chat/completions", bodyOf(live, [question()], 1));
    return path;
  }
  throw new NotOffered(`none of ${EMPTY.join(", ")} (vLLM: VLLM_SERVER_DEV_MODE=1)`);
}

async function emptied(live: Live): Promise<string> {
  await followed(live);
  const messages = [await document(live), question()];
  await hit(live, messages);
  await pause(SETTLED_MS);
  const before = await matched(live, messages);
  expectThat(before > 0, "nothing was held before");
  const path = await empty(live);
  const startMs = performance.now();
  await eventually("the PoP forgets", async () => (await matched(live, messages)) === 0, 5_000);
  const tookMs = performance.now() - startMs;
  const { predicted, cached } = await hit(live, messages);
  expectSame([predicted, cached], [0, 0], "predicted and cached afterwards");
  return `${path}: ${before} tokens, then 0 after ${tookMs.toFixed(0)} ms`;
}

async function strangers(live: Live): Promise<string> {
  await followed(live);
  const shared = await document(live);
  const messages = [shared, question()];
  // The PoP knows the prompt, and that it is not held any more.
  await hit(live, messages);
  await pause(SETTLED_MS);
  await empty(live);
  await eventually("the PoP forgets", async () => (await matched(live, messages)) === 0, 5_000);
  await good(live.engine, "/v1/chat/completions", bodyOf(live, messages));
  const found = await eventually("it hears", async () => matched(live, messages), 5_000).catch(
    () => 0,
  );
  expectThat(found > 0, "the PoP did not hear of it");
  await pause(SETTLED_MS);
  const known = await matched(live, [shared, question()]);
  const { cached, prompt } = await hit(live, [shared, question()]);
  const off = Math.abs(known - cached);
  // How far the match goes on past its last whole chunk is known from the second on.
  const allowed = LIMIT_PERCENT + (await chunkPercent(live, prompt)) / 2;
  expectThat((off / prompt) * 100 < allowed, `known ${known}, held ${cached}`);
  return `known ${known}, held ${cached} of ${prompt}`;
}

async function evicted(live: Live): Promise<string> {
  await followed(live);
  const { kvTokens } = (await stateOf(live.pop)).endpoint;
  if (kvTokens === undefined || kvTokens > FILL_MAX) {
    throw new NotOffered(`a cache of ${kvTokens ?? "unknown"} tokens is not filled here`);
  }
  const old = [await document(live), question()];
  await hit(live, old);
  await pause(SETTLED_MS);
  expectThat((await matched(live, old)) > 0, "nothing was held before");
  for (let tokens = 0; tokens < kvTokens * 1.2; ) {
    tokens += (await hit(live, [await document(live, 0.9), question()])).prompt;
  }
  await pause(SETTLED_MS);
  const { predicted, cached } = await hit(live, old);
  expectSame([predicted, cached], [0, 0], "predicted and cached");
  const { blocks, trust, badEvents, received, missed } = await followed(live);
  if (live.options.kvReplay !== undefined) {
    const seen = `${received} batches, ${String(missed)} missed`;
    expectThat(trust === "whole", `the events are ${trust} afterwards (${seen})`);
  }
  return `predicted 0, cached 0; ${blocks} blocks, ${trust}, ${String(badEvents)} bad`;
}

async function replayed(live: Live): Promise<string> {
  await followed(live);
  if (live.options.kvReplay === undefined) throw new NotOffered("no --kv-replay given");
  const { startPopBefore } = await import("./live-scene.ts");
  const first = await followed(live);
  const pop = await startPopBefore(live.options);
  try {
    const later = { ...live, pop, door: { ...live.door, base: pop.base } };
    const state = await eventually("a whole replay", async () => {
      const now = await followed(later);
      return now.trust === "whole" && now;
    });
    const { blocks, badEvents, replayFailures } = state;
    expectSame([badEvents, replayFailures], [0, 0], "bad events, failed replays");
    expectSame(blocks, first.blocks, "blocks");
    return `${String(state.replayed)} batches, ${blocks} blocks as the first one has`;
  } finally {
    await pop.stop();
  }
}
