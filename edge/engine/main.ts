/** `gridpoint engine`: starts the emulated engine, or with --gguf the real one. */
import { parseArgs } from "node:util";
import { type EngineProfile, PROFILES, profileNamed } from "../../src/sim/profiles.ts";
import { FAULT_KINDS, parseFault } from "./faults.ts";
import { parseObject } from "./http.ts";
import { KV_ENCODINGS, KV_HASHES } from "./kv-events.ts";
import type { KvFeedOptions } from "./kv-feed.ts";
import { type LlamaOptions, runLlama } from "./llama.ts";
import { EmulatedEngine, type EmulatedEngineOptions } from "./server.ts";
import { parseShareSchedule } from "./share.ts";

const HELP = `usage: gridpoint engine [options]                 the emulated engine
       gridpoint engine --gguf FILE [options]     a real one (llama.cpp, from npm)

Both serve the OpenAI API and print "listening on URL" when ready.

  --port N                0 = any free port (default 0)
  --host ADDRESS          default 127.0.0.1
  --model ID              model id to serve, repeatable (default "emulated", or the file's name)
  --api-key KEY           ask for this bearer token on /v1/*
  --drain-ms N            on SIGTERM, time for open requests (default 10000)
  --help

Emulated engine: vLLM's interface and metric names, SGLang's /v1/loads, text that says what it is.
  --profile NAME          default rtxpro6000-8b; known:
                          ${[...PROFILES.keys()].join(" ")}
  --kv-blocks N           KV cache blocks of 16 tokens (default: what the profile's GPU holds)
  --max-seqs N            most sequences in one step (default by profile)
  --max-model-len N       context length in tokens (default by profile)
  --token-budget N        most tokens in one step (default by profile)
  --itl-ms N              fixed step time instead of the profile's costs
  --output-tokens N       mean length of answers that nothing else limits (default 128)
  --max-queue N           most waiting requests before 503 (default 10000)
  --speed FACTOR          time compression (default 1)
  --seed N                default 1
  --fault JSON            arm a fault, repeatable, e.g. '{"kind":"reset","afterTokens":3}'
  --kv-events-port N      publish KV events over ZMTP there (0 = any free port; default: none)
  --kv-replay-port N      and replay them there
  --kv-events FORM        maps (vLLM from 0.24, default) or arrays (before)
  --kv-hashes FORM        bytes (default) or int
  --kv-topic TEXT         default empty
  --kv-replay-steps N     batches that the replay has (default 10000)
  --no-tokenizer          without /tokenize
  --share-schedule JSON   capacity over time,
                          e.g. '[{"atMs":0,"share":0.8},{"atMs":9000,"share":0.1}]'
  At run time: POST /fault, GET /fault, DELETE /fault; POST /share {"share":0.5}. Kinds of fault:
${Object.entries(FAULT_KINDS)
  .map(([kind, text]) => `    ${kind.padEnd(15)} ${text}`)
  .join("\n")}

Real engine:
  --gguf FILE             any GGUF model that llama.cpp loads
  --backend NAME          cpu (default), cuda or vulkan; the last two need the platform package of
                          that name, e.g. npm install @fugood/node-llama-linux-x64-cuda
  --gpu-layers N          layers on the GPU (default: none on cpu, else all)
  --threads N             CPU threads (default 1: more than the free cores is far slower)
  --parallel N            sequences decoded together (default 4)
  --context N             context tokens per sequence (default: the model's, at most 4096)
  --max-queue N           most waiting requests before 503 (default 64)
  --prompt-cache-mb N     budget for reusable KV of earlier prompts, on disk (default 256, 0 = none)
  --verbose               let llama.cpp write its log to standard output and error
`;

const OPTIONS = {
  port: { type: "string", default: "0" },
  host: { type: "string", default: "127.0.0.1" },
  model: { type: "string", multiple: true },
  "api-key": { type: "string" },
  "drain-ms": { type: "string", default: "10000" },
  help: { type: "boolean", short: "h" },
  profile: { type: "string", default: "rtxpro6000-8b" },
  "kv-blocks": { type: "string" },
  "max-seqs": { type: "string" },
  "max-model-len": { type: "string" },
  "token-budget": { type: "string" },
  "itl-ms": { type: "string" },
  "output-tokens": { type: "string" },
  "max-queue": { type: "string" },
  speed: { type: "string", default: "1" },
  seed: { type: "string", default: "1" },
  fault: { type: "string", multiple: true },
  "kv-events-port": { type: "string" },
  "kv-replay-port": { type: "string" },
  "kv-events": { type: "string", default: "maps" },
  "kv-hashes": { type: "string", default: "bytes" },
  "kv-topic": { type: "string", default: "" },
  "kv-replay-steps": { type: "string", default: "10000" },
  "no-tokenizer": { type: "boolean", default: false },
  "share-schedule": { type: "string" },
  gguf: { type: "string" },
  backend: { type: "string", default: "cpu" },
  "gpu-layers": { type: "string" },
  threads: { type: "string", default: "1" },
  parallel: { type: "string", default: "4" },
  context: { type: "string" },
  "prompt-cache-mb": { type: "string", default: "256" },
  verbose: { type: "boolean", default: false },
} as const;

function parse(argv: string[]) {
  return parseArgs({ args: argv, options: OPTIONS, allowPositionals: false }).values;
}
type Values = ReturnType<typeof parse>;
type NumberOption = {
  [K in keyof Values]-?: Values[K] extends string | undefined ? K : never;
}[keyof Values];

/** @throws Error naming the option unless it is a number in the range. */
function number(values: Values, name: NumberOption, min: number, max: number): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (value >= min && value <= max) return value;
  throw new Error(`--${name} must be a number from ${min} to ${max}, not "${text}"`);
}

function whole(values: Values, name: NumberOption, min: number, max: number): number | undefined {
  const value = number(values, name, min, max);
  if (value === undefined || Number.isInteger(value)) return value;
  throw new Error(`--${name} must be a whole number, not "${value}"`);
}

function engineProfile(values: Values): EngineProfile {
  const base = profileNamed(values.profile);
  const kvBlocks = whole(values, "kv-blocks", 1, 1 << 24) ?? base.kvBlocks;
  const kvTokens = kvBlocks * base.blockTokens;
  const maxModelLen = whole(values, "max-model-len", 1, 1 << 28);
  if (maxModelLen !== undefined && maxModelLen > kvTokens) {
    throw new Error(
      `--max-model-len ${maxModelLen} is more than the KV cache holds (${kvTokens} tokens); ` +
        "raise --kv-blocks or lower --max-model-len",
    );
  }
  const itlMs = number(values, "itl-ms", 0, 60_000);
  const none = { weightsMs: 0, contextTokenMs: 0, tokenMs: 0, attentionMs: 0, jitter: 0 };
  return {
    ...base,
    id: itlMs === undefined ? base.id : `${base.id}+itl`,
    kvBlocks,
    maxSeqs: whole(values, "max-seqs", 1, 1 << 20) ?? base.maxSeqs,
    tokenBudget: whole(values, "token-budget", 1, 1 << 24) ?? base.tokenBudget,
    maxModelLen: maxModelLen ?? Math.min(base.maxModelLen, kvTokens),
    costs: itlMs === undefined ? base.costs : { ...none, overheadMs: itlMs },
  };
}

function kvEvents(values: Values): KvFeedOptions | undefined {
  const port = whole(values, "kv-events-port", 0, 65_535);
  const replayPort = whole(values, "kv-replay-port", 0, 65_535);
  const encoding = KV_ENCODINGS.find((form) => form === values["kv-events"]);
  const hashes = KV_HASHES.find((form) => form === values["kv-hashes"]);
  if (encoding === undefined) throw new Error("--kv-events must be maps or arrays");
  if (hashes === undefined) throw new Error("--kv-hashes must be bytes or int");
  const steps = whole(values, "kv-replay-steps", 0, 1_000_000) ?? 10_000;
  if (port === undefined) {
    if (replayPort === undefined) return undefined;
    throw new Error("--kv-replay-port needs --kv-events-port");
  }
  return {
    host: values.host,
    port,
    replayPort,
    topic: values["kv-topic"],
    steps,
    encoding,
    hashes,
  };
}

function emulatedOptions(values: Values): EmulatedEngineOptions {
  const schedule = values["share-schedule"];
  return {
    profile: engineProfile(values),
    models: values.model ?? ["emulated"],
    host: values.host,
    port: whole(values, "port", 0, 65_535),
    speed: number(values, "speed", 0.001, 1e6),
    seed: whole(values, "seed", 0, 0xffffffff),
    apiKey: values["api-key"],
    outputTokens: whole(values, "output-tokens", 1, 1 << 20),
    maxQueue: whole(values, "max-queue", 0, 1_000_000),
    faults: (values.fault ?? []).map((json) => parseFault(parseObject(json))),
    shareSchedule: schedule === undefined ? [] : parseShareSchedule(schedule),
    kvEvents: kvEvents(values),
    tokenizer: !values["no-tokenizer"],
    crash: () => process.kill(process.pid, "SIGKILL"),
  };
}

function llamaOptions(values: Values, gguf: string): LlamaOptions {
  if (values.backend !== "cpu" && values.backend !== "cuda" && values.backend !== "vulkan") {
    throw new Error(`--backend must be cpu, cuda or vulkan, not "${values.backend}"`);
  }
  return {
    gguf,
    models: values.model ?? [],
    host: values.host,
    port: whole(values, "port", 0, 65_535) ?? 0,
    apiKey: values["api-key"],
    backend: values.backend,
    gpuLayers: whole(values, "gpu-layers", 0, 10_000),
    threads: whole(values, "threads", 1, 1024) ?? 1,
    parallel: whole(values, "parallel", 1, 256) ?? 4,
    contextTokens: whole(values, "context", 16, 1 << 24),
    maxQueue: whole(values, "max-queue", 0, 1_000_000) ?? 64,
    promptCacheBytes: (number(values, "prompt-cache-mb", 0, 1 << 20) ?? 256) * 1024 * 1024,
  };
}

/** Runs until SIGTERM or SIGINT; the second signal ends at once. */
async function serve(
  engine: { url: string; drain(limitMs: number): Promise<void> },
  drainMs: number,
  say: (line: string) => void,
): Promise<number> {
  say(`listening on ${engine.url}\n`);
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.once(signal, () => resolve());
    }
  });
  await engine.drain(drainMs);
  return 0;
}

/** Exit status: 0 after a signal, 2 for a wrong command line, 1 when it could not start. */
export async function runEngine(argv: string[]): Promise<number> {
  let start: () => Promise<number>;
  try {
    const values = parse(argv);
    if (values.help === true) {
      process.stdout.write(HELP);
      return 0;
    }
    const drainMs = whole(values, "drain-ms", 0, 3_600_000) ?? 10_000;
    if (values.gguf !== undefined) {
      const options = llamaOptions(values, values.gguf);
      start = () => runLlama(options, values.verbose, (e, say) => serve(e, drainMs, say));
    } else {
      const options = emulatedOptions(values);
      start = async () => {
        const engine = await new EmulatedEngine(options).start();
        const { kvUrls } = engine;
        if (kvUrls !== undefined) {
          const { url, replay } = kvUrls;
          const more = replay === undefined ? "" : `, replay on ${replay}`;
          process.stdout.write(`KV events on ${url}${more}\n`);
        }
        return serve(engine, drainMs, (line) => process.stdout.write(line));
      };
    }
  } catch (error) {
    process.stderr.write(`gridpoint engine: ${(error as Error).message}\nTry --help.\n`);
    return 2;
  }
  try {
    return await start();
  } catch (error) {
    process.stderr.write(`gridpoint engine: ${(error as Error).message}\n`);
    return 1;
  }
}
