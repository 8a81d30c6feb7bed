/** Does the PoP see what the engine is: up, its models, its load, the size of its cache? */
import { eventually } from "./pop-process.ts";
import { expectSame, expectThat, NotOffered, type Report } from "./live-report.ts";
import {
  ask,
  gauges,
  type Json,
  type Live,
  stateOf,
  stream,
  untilIdle,
  user,
} from "./live-scene.ts";

/** Where a family says how loaded it is; others say nothing. */
const SOURCES: Record<string, readonly string[]> = {
  vllm: ["metrics"],
  nim: ["metrics"],
  sglang: ["loads", "metrics"],
  "tensorrt-llm": ["metrics"],
  "llama.cpp": ["slots", "metrics"],
  triton: ["metrics"],
  dynamo: ["metrics"],
};
/** Families that tell how large their cache is. */
const SIZED = ["vllm", "sglang", "llama.cpp"];

export async function checkIdentity(live: Live, report: Report): Promise<void> {
  await report.check("the PoP finds it up", () => isUp(live));
  await report.check("models are listed as it lists them", () => models(live));
  await report.check("its load is read", () => load(live));
  await report.check("its load follows what runs there", () => loadFollows(live));
  await report.check("the size of its cache is known", () => cacheSize(live));
}

async function isUp({ pop, options }: Live): Promise<string> {
  const { endpoint } = await stateOf(pop);
  expectSame(endpoint.phase, "ready", "phase");
  return `${options.engine} ${endpoint.version ?? "of unknown version"}`;
}

async function models(live: Live): Promise<string> {
  const own = await ask(live.engine, "GET", "/v1/models");
  const ours = await ask(live.door, "GET", "/v1/models");
  const ownModels = modelsOf(own.json);
  const ids = modelsOf(ours.json).map(({ id }) => id);
  expectSame(ids.sort(), ownModels.map(({ id }) => id).sort(), "ids");
  const { endpoint } = await stateOf(live.pop);
  const said = ownModels[0]?.max_model_len;
  if (said !== undefined) expectSame(endpoint.contextTokens, said, "contextTokens");
  return `${ids.join(", ")}; context ${endpoint.contextTokens ?? "unknown"}`;
}

const modelsOf = (json: Json | undefined) =>
  (json?.data ?? []) as { id: string; max_model_len?: number }[];

async function load({ pop, options }: Live): Promise<string> {
  const wanted = SOURCES[options.engine];
  if (wanted === undefined) throw new NotOffered("the family tells no load");
  const { load: source, running, waiting, kvUsage } = (await stateOf(pop)).endpoint;
  expectThat(wanted.includes(source.source), `read from ${source.source}: ${wanted.join(" or ")}`);
  const known = { running, waiting, kvUsage };
  for (const [name, value] of Object.entries(known)) {
    expectThat(typeof value === "number" && value >= 0, `${name} is ${String(value)}`);
  }
  expectSame(source.errors, 0, "failed reads");
  return `${source.source}, ${source.ageMs} ms old: ${JSON.stringify(known)}`;
}

/** A stream past the PoP: only the engine's own word can tell of it. */
async function loadFollows(live: Live): Promise<string> {
  if ((await gauges(live)) === undefined) throw new NotOffered("no gauge of what runs");
  await untilIdle(live);
  const leaving = new AbortController();
  const body = { model: live.model, stream: true, max_tokens: 2_000, ...FOREVER };
  const content = "Tell a very long story.";
  const sent = { ...body, messages: [user(content)] };
  const call = stream(live.engine, "/v1/chat/completions", sent, undefined, leaving.signal);
  const ends = call.catch(() => undefined);
  const view = await eventually("a running request in the PoP's eyes", async () => {
    const { endpoint } = await stateOf(live.pop);
    return endpoint.running === 1 && endpoint;
  });
  leaving.abort();
  await ends;
  await eventually("an idle engine in the PoP's eyes", async () => {
    const { endpoint } = await stateOf(live.pop);
    return endpoint.running === 0 && endpoint.kvUsage !== undefined && endpoint.kvUsage < 0.9;
  });
  return `running 1, kvUsage ${view.kvUsage}, then 0`;
}

/** Engines that know it do not stop early. */
export const FOREVER = { ignore_eos: true };

async function cacheSize({ pop, options }: Live): Promise<string> {
  if (!SIZED.includes(options.engine)) throw new NotOffered("the family does not say");
  const { kvTokens, blockTokens } = (await stateOf(pop)).endpoint;
  expectThat(kvTokens !== undefined && kvTokens > 0, `kvTokens is ${String(kvTokens)}`);
  if (options.engine === "vllm") {
    expectThat(blockTokens !== undefined && blockTokens > 0, `blockTokens is ${blockTokens}`);
  }
  return `${kvTokens} tokens, blocks of ${blockTokens ?? "unknown size"}`;
}
