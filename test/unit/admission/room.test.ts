import { expect, test } from "vitest";
import { hasPrefillRoom } from "../../../src/admission/room.ts";
import type { EndpointColumns, EndpointRecord } from "../../../src/state/endpoint-table.ts";

interface Scene {
  own?: number;
  prefills?: number;
  rate?: number;
  rttMs?: number;
  inFlight?: number;
}

function room({ own = 0, prefills = 1, rate = 8, rttMs = 0, inFlight = 0 }: Scene, tokens = 1e6) {
  const columns = {
    inFlight: [inFlight],
    inFlightCap: [4],
    prefillRate: [rate],
    rttMs: [rttMs],
    ownTokens: [own],
  };
  const record = { row: 0, prefills };
  return hasPrefillRoom(
    columns as unknown as EndpointColumns,
    record as EndpointRecord,
    1_024,
    tokens,
  );
}

test.each<[string, Scene, boolean]>([
  ["an idle engine", {}, true],
  ["all of its places taken", { inFlight: 4 }, false],
  ["as much in prefill as it may", { own: 1_024 }, true],
  ["more than that", { own: 1_025 }, false],
  ["a fast engine has more in hand", { own: 5_000, rate: 40 }, true],
  ["a slow one not less", { own: 1_024, rate: 0.1 }, true],
  ["a far one has a round trip's more on the way", { own: 1_800, rttMs: 100 }, true],
  ["but no more", { own: 1_900, rttMs: 100 }, false],
])("%s", (_, scene, expected) => {
  expect(room(scene)).toBe(expected);
});

test("what is small beside those in prefill joins them, up to four", () => {
  expect(room({ own: 16_000 }, 1_000)).toBe(true);
  expect(room({ own: 16_000 }, 1_001)).toBe(false);
  expect(room({ own: 17_000, prefills: 2 }, 1_000)).toBe(false);
  expect(room({ own: 17_000, prefills: 2 }, 500)).toBe(true);
  expect(room({ own: 17_000, prefills: 4 }, 1)).toBe(false);
});
