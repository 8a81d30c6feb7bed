import { describe, expect, it } from "vitest";
import { EngineModel } from "../../../src/sim/engine.ts";
import { PROFILES, profileNamed } from "../../../src/sim/profiles.ts";

/** Inter-token latency with `sequences` running at about 1,000 tokens of context. */
function itlMs(id: string, sequences: number): number {
  const profile = profileNamed(id);
  const model = new EngineModel<number>({ ...profile, costs: { ...profile.costs, jitter: 0 } }, 1);
  for (let i = 0; i < sequences; i++) {
    model.submit({ promptTokens: 1000, maxTokens: 50, keys: [] }, i);
  }
  let ms = 0;
  while (model.counters.generatedTokens < sequences * 10) {
    ms = model.begin();
    model.commit(() => undefined);
  }
  return ms;
}

describe("profiles", () => {
  it("has every GPU with every model size, with room for long prompts", () => {
    for (const gpu of ["rtxpro6000", "l40s", "h100", "b200"]) {
      for (const model of ["3b", "8b", "70b"]) {
        const profile = profileNamed(`${gpu}-${model}`);
        expect(profile.kvBlocks * profile.blockTokens).toBeGreaterThan(profile.maxModelLen);
      }
    }
    expect(PROFILES.size).toBe(13);
  });

  it("lands where published inter-token latencies do (8B: H100 10-15 ms, L40S 25-35 ms)", () => {
    expect(itlMs("h100-8b", 16)).toBeGreaterThan(8);
    expect(itlMs("h100-8b", 16)).toBeLessThan(15);
    expect(itlMs("l40s-8b", 8)).toBeGreaterThan(25);
    expect(itlMs("l40s-8b", 8)).toBeLessThan(37);
  });

  it("orders the GPUs by speed", () => {
    const ids = ["b200-8b", "h100-8b", "rtxpro6000-8b", "l40s-8b"];
    const latencies = ids.map((id) => itlMs(id, 4));
    expect(latencies).toEqual([...latencies].sort((a, b) => a - b));
  });

  it("takes no time in the instant profile and names the known ones for a wrong name", () => {
    expect(itlMs("instant", 4)).toBe(0);
    expect(() => profileNamed("h200")).toThrow(/h100-8b/);
  });
});
