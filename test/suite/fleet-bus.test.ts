import { MemoryFleet } from "./fleet-bus.memory.ts";
import { fleetBusSuite } from "./fleet-bus.suite.ts";

fleetBusSuite("memory", async (pops) => new MemoryFleet(pops, 5));
