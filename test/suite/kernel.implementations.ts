/** Every implementation of the Kernel interface, made the same way for suites and properties. */
import module from "../../wasm/module.bytes.ts";
import type { Ask, Kernel, KernelOptions } from "../../src/kernel/kernel.ts";
import { createReferenceKernel } from "../../src/kernel/reference.ts";
import { createWasmKernel, type KernelExports } from "../../src/kernel/wasm.ts";

const encoder = new TextEncoder();
export const encodeInto = (text: string, target: Uint8Array) => encoder.encodeInto(text, target);

export const SMALL: KernelOptions = {
  rows: 256,
  chunkBytes: 64,
  indexBytes: 256 * 1024,
  digestBytes: 64 * 1024,
  promptBytesMax: 64 * 1024,
};

export function newExports(): KernelExports {
  return new WebAssembly.Instance(module, {}).exports as unknown as KernelExports;
}

export function wasmKernel(options: KernelOptions): Kernel {
  return createWasmKernel(options, newExports(), encodeInto);
}

export function referenceKernel(options: KernelOptions): Kernel {
  return createReferenceKernel(options, encodeInto);
}

export const IMPLEMENTATIONS = [
  { name: "wasm", create: wasmKernel },
  { name: "reference", create: referenceKernel },
] as const;

/** An endpoint that serves model 0 at once: 10 tokens per ms, no queue, distance or price. */
export function addRow(kernel: Kernel, row: number): void {
  const { columns } = kernel;
  columns.inUse[row] = 1;
  columns.tier[row] = 0;
  columns.admission[row] = 0;
  columns.down[row] = 0;
  columns.region[row] = 0;
  columns.capabilities[row] = 0xff;
  columns.tenants[row] = 0xffffffff;
  columns.contextTokens[row] = 0xffffffff;
  columns.inFlight[row] = 0;
  columns.inFlightCap[row] = 64;
  columns.sampleAtMs[row] = 0;
  columns.freshUntilMs[row] = Number.POSITIVE_INFINITY;
  columns.prefillRate[row] = 10;
  columns.trust[row] = 1;
  kernel.setModelRow(0, row, true);
}

/** A task of 1,000 tokens with no wishes. */
export function askFor(changes: Partial<Ask> = {}): Ask {
  return {
    model: 0,
    needs: 1,
    regions: undefined,
    tenant: 1,
    tierCeiling: 2,
    promptTokens: 1000,
    tokensPerChunk: 16,
    outTokens: 100,
    contextNeed: 1100,
    sloTtftMs: Number.POSITIVE_INFINITY,
    maxCostUsd: Number.POSITIVE_INFINITY,
    chain: new Uint32Array(0),
    sessionRow: -1,
    tried: [],
    mayWait: true,
    random: 0,
    ...changes,
  };
}

/** A chain of made-up hashes: well spread, different for each root. */
export function chainOf(root: number, chunks: number): Uint32Array {
  const chain = new Uint32Array(chunks * 2);
  let state = (Math.imul(root, 0x9e3779b1) ^ 0x85ebca6b) >>> 0;
  for (let word = 0; word < chain.length; word++) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5;
    chain[word] = state ^ (state >>> 13);
  }
  return chain;
}
