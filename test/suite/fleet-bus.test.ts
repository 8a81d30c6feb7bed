import { MemoryFleet } from "./fleet-bus.memory.ts";
import { fleetBusSuite } from "./fleet-bus.suite.ts";
import { WebSocketFleet } from "./fleet-bus.ws-mesh.ts";

fleetBusSuite("memory", async (pops) => new MemoryFleet(pops, 5));
fleetBusSuite("ws-mesh", (pops) => WebSocketFleet.make(pops));
