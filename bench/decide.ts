/**
 * `npm run bench:decide`: what a decision costs. "kernel" is the whole of it, hashing of the
 * prompt's bytes included; "lookup" is match, filter, score and pick with the hashes given; "twin"
 * is the whole decision in plain TypeScript; "digests" is the lookup when a part of the endpoints
 * is another PoP's and known by digests of 8,192 hashes. Prompts take turns, half of them held
 * whole by every endpoint, half to a different depth by each, in an index that other prompts
 * fill, so that nothing is measured on one hot line. `--json` for machines, `--smoke` for tests.
 */
import { execFileSync } from "node:child_process";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Ask, Kernel, KernelOptions } from "../src/kernel/kernel.ts";
import { createReferenceKernel } from "../src/kernel/reference.ts";
import { createWasmKernel, type KernelExports } from "../src/kernel/wasm.ts";
import module from "../wasm/module.bytes.ts";

const CHUNK_BYTES = 512;
const PROMPTS = 4;
const KEY = "bench";
const NOW_MS = 1000;
/** Most endpoints that are known by digests, a quarter of all, and the hashes of each. */
const DIGEST_ROWS = 64;
const DIGEST_HASHES = 8192;

export interface Quantiles {
  p50Us: number;
  p99Us: number;
}

export interface DecideRow {
  endpoints: number;
  promptBytes: number;
  chunks: number;
  kernel: Quantiles;
  lookup: Quantiles;
  twin: Quantiles;
  digests: Quantiles;
}

export interface Effort {
  /** Time per figure. */
  budgetMs: number;
  samplesMin: number;
  indexBytes: number;
}

export const FULL: Effort = { budgetMs: 150, samplesMin: 200, indexBytes: 64 * 1024 * 1024 };
export const SMOKE: Effort = { budgetMs: 10, samplesMin: 20, indexBytes: 4 * 1024 * 1024 };

const KIB = 1024;
/** Endpoints x prompt bytes; the last two are goals of their own. */
const CASES: [number, number][] = [
  ...[16, 64, 256, 1024, 4096].flatMap((endpoints) =>
    [256, 4 * KIB, 32 * KIB, 128 * KIB].map((bytes): [number, number] => [endpoints, bytes]),
  ),
  [64, 1024 * KIB],
  [256, 1024 * KIB],
];
const SMOKE_CASES: [number, number][] = [
  [16, 256],
  [64, 4 * KIB],
];

const encoder = new TextEncoder();
const encodeInto = (text: string, target: Uint8Array) => encoder.encodeInto(text, target);

function capacityFor(endpoints: number): 256 | 1024 | 4096 {
  if (endpoints <= 256) return 256;
  return endpoints <= 1024 ? 1024 : 4096;
}

export interface Made {
  kernel: Kernel;
  memoryBytes: () => number;
}

export function makeKernel(options: KernelOptions): Made {
  const exports = new WebAssembly.Instance(module, {}).exports as unknown as KernelExports;
  const kernel = createWasmKernel(options, exports, encodeInto);
  return { kernel, memoryBytes: () => exports.memory.buffer.byteLength };
}

/** Deterministic noise, so that two runs measure the same work. */
export function xorshift(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

export function promptText(bytes: number, seed: number): string {
  const next = xorshift(seed + 1);
  let text = "";
  while (text.length < bytes) text += `${next().toString(36)} `;
  return text.slice(0, bytes);
}

function fillColumns({ columns, setModelRow }: Kernel, kernel: Kernel, endpoints: number): void {
  const next = xorshift(endpoints);
  for (let row = 0; row < endpoints; row++) {
    columns.inUse[row] = 1;
    columns.capabilities[row] = 0xff;
    columns.tenants[row] = 0xffffffff;
    columns.contextTokens[row] = 0xffffffff;
    columns.inFlightCap[row] = 64;
    columns.queuedTokens[row] = next() % 20_000;
    columns.sentTokens[row] = next() % 2_000;
    columns.sampleAtMs[row] = NOW_MS - (next() % 250);
    columns.freshUntilMs[row] = Number.POSITIVE_INFINITY;
    columns.kvUsage[row] = (next() % 100) / 100;
    columns.prefillRate[row] = 5 + (next() % 20);
    columns.rttMs[row] = next() % 30;
    columns.jitterMs[row] = next() % 5;
    columns.priceIn[row] = (1 + (next() % 3)) * 1e-7;
    columns.priceCached[row] = columns.priceIn[row] / 10;
    columns.priceOut[row] = columns.priceIn[row] * 4;
    columns.trust[row] = 0.9;
    // Drained by a little to a lot, at some rows overdue.
    columns.ownTokens[row] = (row % 4) * 1_000;
    columns.busySinceMs[row] = NOW_MS - (row % 7) * 50;
    setModelRow.call(kernel, 0, row, true);
  }
}

export function askOf(chain: Uint32Array, promptBytes: number): Ask {
  const promptTokens = Math.ceil(promptBytes / 4);
  return {
    model: 0,
    needs: 1,
    regions: undefined,
    tenant: 1,
    tierCeiling: 2,
    promptTokens,
    tokensPerChunk: CHUNK_BYTES / 4,
    outTokens: 256,
    contextNeed: promptTokens + 256,
    sloTtftMs: 2000,
    maxCostUsd: Number.POSITIVE_INFINITY,
    chain,
    sessionRow: -1,
    tried: [],
    mayWait: true,
    random: 0x9e3779b9,
  };
}

interface Scene {
  endpoints: number;
  promptBytes: number;
  texts: string[];
  bytes: Uint8Array[];
  asks: Ask[];
}

/** Fills half of the index with other prompts, then teaches it who holds the scene's prompts. */
function learnScene(kernel: Kernel, scene: Scene, chains: Uint32Array[]): void {
  const next = xorshift(99);
  const others = new Uint32Array(2 * 64);
  for (let learned = 0; learned < kernel.stats().capacity / 2; learned += 64) {
    for (let word = 0; word < others.length; word++) others[word] = next();
    kernel.learn(others, next() % scene.endpoints, 0);
  }
  chains.forEach((chain, prompt) => {
    const chunks = chain.length / 2;
    for (let row = 0; row < scene.endpoints; row++) {
      const depth = Math.ceil(((row + 1) * chunks) / scene.endpoints);
      kernel.learn(chain, row, 0, prompt % 2 === 0 ? chunks : depth);
    }
  });
}

/** What one of the last rows knows of the prompts is a digest's word instead of the index's. */
function digestOfScene(scene: Scene, row: number, next: () => number): Uint32Array {
  const hashes = Uint32Array.from({ length: DIGEST_HASHES }, next);
  let end = DIGEST_HASHES;
  scene.asks.forEach(({ chain }, prompt) => {
    const chunks = chain.length / 2;
    const depth = Math.ceil(((row + 1) * chunks) / scene.endpoints);
    const held = prompt % 2 === 0 ? chunks : depth;
    for (let chunk = 0; chunk < held && end > 0; chunk++) hashes[--end] = chain[chunk * 2];
  });
  return hashes;
}

function tellDigests(kernel: Kernel, scene: Scene): void {
  const next = xorshift(7);
  const first = scene.endpoints - Math.min(DIGEST_ROWS, Math.ceil(scene.endpoints / 4));
  for (let row = first; row < scene.endpoints; row++) {
    for (const { chain } of scene.asks) kernel.forget(chain, row, 0);
    kernel.setDigest(row, digestOfScene(scene, row, next));
  }
}

function setScene(kernels: Kernel[], endpoints: number, promptBytes: number): Scene {
  const texts = Array.from({ length: PROMPTS }, (_, seed) => promptText(promptBytes, seed));
  const bytes = texts.map((text) => encoder.encode(text));
  const chains = bytes.map((one) => kernels[0].hashBytes(one, KEY).chain);
  const asks = chains.map((chain) => askOf(chain, promptBytes));
  const scene = { endpoints, promptBytes, texts, bytes, asks };
  for (const kernel of kernels) {
    fillColumns(kernel, kernel, endpoints);
    learnScene(kernel, scene, chains);
  }
  return scene;
}

/** Times single calls; `work` gets the number of the prompt whose turn it is. */
function measure(work: (prompt: number) => void, effort: Effort): Quantiles {
  for (let warm = 0; warm < effort.samplesMin; warm++) work(warm % PROMPTS);
  const samples: number[] = [];
  const end = performance.now() + effort.budgetMs;
  for (let last = performance.now(); last < end || samples.length < effort.samplesMin; ) {
    work(samples.length % PROMPTS);
    const now = performance.now();
    samples.push((now - last) * 1000);
    last = performance.now();
  }
  return quantilesOf(samples);
}

/** @param samples in microseconds; sorted on the way */
export function quantilesOf(samples: number[]): Quantiles {
  samples.sort((a, b) => a - b);
  const at = (share: number) => {
    const index = Math.min(samples.length - 1, Math.floor(samples.length * share));
    return Math.round(samples[index] * 100) / 100;
  };
  return { p50Us: at(0.5), p99Us: at(0.99) };
}

function wholeOf(kernel: Kernel, scene: Scene): (prompt: number) => void {
  return (prompt) => {
    const ask = scene.asks[prompt];
    ask.chain = kernel.hashBytes(scene.bytes[prompt], KEY).chain;
    kernel.decide(ask, NOW_MS);
  };
}

function wholeOfText(kernel: Kernel, scene: Scene): (prompt: number) => void {
  return (prompt) => {
    const ask = scene.asks[prompt];
    ask.chain = kernel.hash([scene.texts[prompt]], KEY).chain;
    kernel.decide(ask, NOW_MS);
  };
}

export interface Measured {
  row: DecideRow;
  /** The whole decision from strings, as the door has them. */
  text: Quantiles;
}

export function measureCase(endpoints: number, promptBytes: number, effort: Effort): Measured {
  const options: KernelOptions = {
    rows: capacityFor(endpoints),
    chunkBytes: CHUNK_BYTES,
    indexBytes: effort.indexBytes,
    promptBytesMax: 4 * KIB * KIB,
  };
  const { kernel } = makeKernel(options);
  const twin = createReferenceKernel(options, encodeInto);
  const scene = setScene([kernel, twin], endpoints, promptBytes);
  const lookup = (prompt: number) => void kernel.decide(scene.asks[prompt], NOW_MS);
  const figures = {
    kernel: measure(wholeOf(kernel, scene), effort),
    lookup: measure(lookup, effort),
    twin: measure(wholeOf(twin, scene), effort),
  };
  const text = measure(wholeOfText(kernel, scene), effort);
  tellDigests(kernel, scene);
  const digests = measure(lookup, effort);
  const chunks = Math.floor(promptBytes / CHUNK_BYTES);
  return { row: { endpoints, promptBytes, chunks, ...figures, digests }, text };
}

export interface Growth {
  decisions: number;
  heapBytes: number;
  wasmBytes: number;
}

/** What stays allocated after many whole decisions, each with a collection before and after. */
export function measureGrowth(decisions: number): Growth {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const indexBytes = 4 * KIB * KIB;
  const { kernel, memoryBytes } = makeKernel({
    rows: 256,
    chunkBytes: CHUNK_BYTES,
    indexBytes,
    promptBytesMax: 4 * KIB * KIB,
  });
  const decide = wholeOf(kernel, setScene([kernel], 64, KIB));
  const run = (count: number) => {
    for (let turn = 0; turn < count; turn++) decide(turn % PROMPTS);
  };
  run(20_000);
  collect();
  const before = { heap: process.memoryUsage().heapUsed, wasm: memoryBytes() };
  run(decisions);
  collect();
  return {
    decisions,
    heapBytes: process.memoryUsage().heapUsed - before.heap,
    wasmBytes: memoryBytes() - before.wasm,
  };
}

function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { stdio: "pipe" })
      .toString()
      .trim();
  } catch {
    return "unknown";
  }
}

function line(cells: (string | number)[]): string {
  return cells.map((cell) => String(cell).padStart(11)).join("");
}

function printTable(measured: Measured[], growth: Growth): void {
  console.log("microseconds; kernel, text and twin hash the prompt, lookup has the hashes given");
  const pair = (name: string) => [`${name} p50`, "p99"];
  const names = ["kernel", "lookup", "twin", "text", "digests"].flatMap(pair);
  console.log(line(["endpoints", "bytes", "chunks", ...names, "twin/kern."]));
  for (const { row, text } of measured) {
    const figures = [row.kernel, row.lookup, row.twin, text, row.digests].flatMap((one) => [
      one.p50Us,
      one.p99Us,
    ]);
    const ratio = (row.twin.p50Us / row.kernel.p50Us).toFixed(1);
    console.log(line([row.endpoints, row.promptBytes, row.chunks, ...figures, ratio]));
  }
  const { decisions, heapBytes, wasmBytes } = growth;
  const each = (heapBytes / decisions).toFixed(4);
  console.log(`after ${decisions} decisions: heap ${heapBytes} bytes (${each} each) more,`);
  console.log(`wasm memory ${wasmBytes} bytes more`);
}

function run(): void {
  const isSmoke = process.argv.includes("--smoke");
  const effort = isSmoke ? SMOKE : FULL;
  const cases = isSmoke ? SMOKE_CASES : CASES;
  const measured = cases.map(([endpoints, bytes]) => measureCase(endpoints, bytes, effort));
  if (process.argv.includes("--json")) {
    console.log(JSON.stringify({ commit: commit(), rows: measured.map(({ row }) => row) }));
    return;
  }
  printTable(measured, measureGrowth(isSmoke ? 10_000 : 1_000_000));
}

if (import.meta.main) run();
