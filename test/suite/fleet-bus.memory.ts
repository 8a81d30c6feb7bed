/** FleetBuses of a simulated grid: the `memory` implementation. */
import type { FleetBus } from "../../src/gossip/fleet-bus.ts";
import { SimGrid } from "../../src/sim/grid.ts";
import type { Fleet } from "./fleet-bus.suite.ts";

const RTT_MS = 20;
const STEP_MS = 50;

export class MemoryFleet implements Fleet {
  private readonly grid: SimGrid;

  /** `pops` PoPs that started and found each other. */
  constructor(pops: number, seed: number) {
    this.grid = new SimGrid({ seed, pops, rttMs: [[RTT_MS]] });
    for (const carrier of this.grid.carriers) carrier.start();
    this.grid.run(3000);
  }

  bus(index: number): FleetBus {
    return this.grid.carriers[index].bus;
  }

  /** Lets virtual time pass, and promises settle. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += STEP_MS) {
      this.grid.run(Math.min(STEP_MS, ms - passed));
      for (let turn = 0; turn < 4; turn++) await Promise.resolve();
    }
  }

  async until(met: () => boolean, mostMs: number): Promise<void> {
    for (let passed = 0; passed < mostMs && !met(); passed += STEP_MS) await this.pass(STEP_MS);
  }

  stop(index: number): void {
    this.grid.carriers[index].end("ended");
  }

  restart(index: number): void {
    this.grid.carriers[index].restart(false);
  }

  isolate(index: number): void {
    const others = this.grid.carriers.map((carrier) => carrier.index).filter((i) => i !== index);
    this.grid.cut([index], others);
  }

  heal(): void {
    this.grid.network.heal();
  }
}
