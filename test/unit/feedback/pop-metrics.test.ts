import { expect, test } from "vitest";
import type { Flight } from "../../../src/feedback/observe.ts";
import { PopMetrics } from "../../../src/feedback/pop-metrics.ts";
import { createReferenceKernel } from "../../../src/kernel/reference.ts";
import { EndpointTable } from "../../../src/state/endpoint-table.ts";

const NO_INDEX = {
  stats: () => ({ entries: 0, bytes: 0, evicted: 0, digestHeld: 0, digestRefused: 0 }),
};
const METER = { itlMs: undefined, jitterMs: undefined };

function noEndpoints(): EndpointTable {
  const options = {
    rows: 256,
    chunkBytes: 64,
    indexBytes: 1 << 20,
    promptBytesMax: 1 << 16,
  } as const;
  const kernel = createReferenceKernel(options, () => ({ read: 0, written: 0 }));
  return new EndpointTable(kernel.columns);
}

const at = (endpointId: string) => ({ endpointId, task: { route: "chat" } }) as Flight;

test("attempts are counted by endpoint and end, requests by route and ending", () => {
  const metrics = new PopMetrics(noEndpoints(), NO_INDEX, () => 0);
  for (const id of ["a", "b", "a"]) metrics.ended(at(id), { kind: "done", meter: METER });
  metrics.ended(at("a"), { kind: "failed", meter: METER });
  for (const ending of ["done", "done", "gone"]) {
    metrics.finished("chat", ending, undefined, undefined, 0);
  }
  metrics.finished("embeddings", "done", undefined, undefined, 0);
  const page = metrics.render();
  const counted = (line: string) => expect(page).toContain(`${line}\n`);
  counted('gridpoint_attempts_total{endpoint="a",ending="done"} 2');
  counted('gridpoint_attempts_total{endpoint="b",ending="done"} 1');
  counted('gridpoint_attempts_total{endpoint="a",ending="failed"} 1');
  counted('gridpoint_requests_total{route="chat",ending="done",code=""} 2');
  counted('gridpoint_requests_total{route="chat",ending="gone",code=""} 1');
  counted('gridpoint_requests_total{route="embeddings",ending="done",code=""} 1');
});
