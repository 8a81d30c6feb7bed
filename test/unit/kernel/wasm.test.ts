import { expect, test } from "vitest";
import { KERNEL_ABI } from "../../../src/kernel/abi.ts";
import { createWasmKernel } from "../../../src/kernel/wasm.ts";
import {
  addRow,
  askFor,
  chainOf,
  encodeInto,
  newExports,
  SMALL,
} from "../../suite/kernel.implementations.ts";

test("a module of another ABI is refused with the way out", () => {
  const exports = { ...newExports(), abi: () => KERNEL_ABI + 1 };
  expect(() => createWasmKernel(SMALL, exports, encodeInto)).toThrow("npm run build:kernel");
});

test("the memory never grows after the start, whatever is done with the kernel", () => {
  const exports = newExports();
  const kernel = createWasmKernel(SMALL, exports, encodeInto);
  const { buffer } = exports.memory;
  for (let row = 0; row < 256; row++) {
    addRow(kernel, row);
    kernel.setRowChunks(row, 10 * row);
    kernel.learn(chainOf(row, 200), row, 0);
  }
  kernel.hash(["text ".repeat(100_000)], "key");
  kernel.decide(askFor({ chain: chainOf(3, 5000) }), 0);
  expect(exports.memory.buffer).toBe(buffer);
  expect(kernel.columns.inUse[255]).toBe(1);
});

test("columns do not overlap each other", () => {
  const kernel = createWasmKernel(SMALL, newExports(), encodeInto);
  const { capacity, ...columns } = kernel.columns;
  const views = Object.values(columns) as Uint8Array[];
  const spans = views.map((view) => [view.byteOffset, view.byteOffset + view.byteLength]);
  spans.sort(([a], [b]) => a - b);
  for (let index = 1; index < spans.length; index++) {
    expect(spans[index][0]).toBeGreaterThanOrEqual(spans[index - 1][1]);
  }
  expect(views.every((view) => view.length === capacity && view.byteOffset > 0)).toBe(true);
});
