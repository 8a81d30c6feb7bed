/**
 * The same few thousand decisions on any runtime, as one hash over every bit of their results: the
 * compiled kernel and its twin. Run as a program, it prints it.
 */
import kernelModule from "#kernel-module";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { createReferenceKernel } from "../../src/kernel/reference.ts";
import { createWasmKernel, type KernelExports } from "../../src/kernel/wasm.ts";

const ROWS = 100;
const DECISIONS = 3_000;
const OPTIONS = {
  rows: 256,
  chunkBytes: 64,
  indexBytes: 1024 * 1024,
  promptBytesMax: 64 * 1024,
} as const;
const MASK = (1n << 64n) - 1n;
const encoder = new TextEncoder();
const encodeInto = (text: string, target: Uint8Array) => encoder.encodeInto(text, target);

/** Xorshift: whole numbers only, the same everywhere. */
function drawn(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

function fill({ columns: c }: Kernel, setModel: (row: number) => void, draw: () => number): void {
  const part = () => (draw() % 10_000) / 10_000;
  for (let row = 0; row < ROWS; row++) {
    c.inUse[row] = 1;
    c.tier[row] = draw() % 3;
    c.capabilities[row] = 0xff;
    c.tenants[row] = 0xffffffff;
    c.contextTokens[row] = 0xffffffff;
    c.inFlightCap[row] = 64;
    c.inFlight[row] = draw() % 64;
    c.queuedTokens[row] = draw() % 20_000;
    c.ownTokens[row] = draw() % 5_000;
    c.freshUntilMs[row] = Number.POSITIVE_INFINITY;
    c.kvUsage[row] = part();
    c.prefillRate[row] = 0.5 + 20 * part();
    c.rttMs[row] = 200 * part();
    c.jitterMs[row] = 10 * part();
    c.priceIn[row] = part() / 1e6;
    c.priceCached[row] = part() / 1e7;
    c.priceOut[row] = part() / 1e6;
    c.trust[row] = part();
    setModel(row);
  }
}

function hashOf(kernel: Kernel): string {
  const draw = drawn(0x9e3779b1);
  fill(kernel, (row) => kernel.setModelRow(0, row, true), draw);
  let hash = 0xcbf29ce484222325n;
  const bits = new BigUint64Array(1);
  const asFloat = new Float64Array(bits.buffer);
  const add = (value: number): void => {
    asFloat[0] = value;
    hash = ((hash ^ bits[0]) * 0x100000001b3n) & MASK;
  };
  for (let n = 0; n < DECISIONS; n++) {
    const prompt = `conversation ${draw() % 50} ${"turn ".repeat(draw() % 200)}`;
    const { chain, bytes } = kernel.hash([prompt], "model");
    const decision = kernel.decide(
      {
        ...{ model: 0, needs: 1, regions: undefined, tenant: 1, tierCeiling: 2 },
        ...{ promptTokens: bytes / 4, tokensPerChunk: 16, outTokens: 100 + (draw() % 100) },
        contextNeed: bytes,
        sloTtftMs: draw() % 2 === 0 ? 500 : Number.POSITIVE_INFINITY,
        maxCostUsd: Number.POSITIVE_INFINITY,
        ...{ chain, sessionRow: -1, tried: [], mayWait: true, random: draw() },
      },
      n * 10,
    );
    for (const value of [decision.row, decision.ttftMs, decision.matchedTokens]) add(value);
    if (decision.row >= 0) kernel.learn(chain, decision.row, n * 10);
  }
  return hash.toString(16);
}

/** `wasm` and `twin`, which should be equal. */
export function decisions(): string {
  const exports = new WebAssembly.Instance(kernelModule, {}).exports as never as KernelExports;
  const wasm = hashOf(createWasmKernel(OPTIONS, exports, encodeInto));
  const twin = hashOf(createReferenceKernel(OPTIONS, encodeInto));
  return `wasm ${wasm} twin ${twin}`;
}

if ((import.meta as { main?: boolean }).main === true) console.log(decisions());
