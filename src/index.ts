/**
 * The public API: `createPop(config, runtime)` and what an adapter needs around it. Nothing else
 * of `src/` is promised.
 */
export { type ParsedConfig, parseConfig, type PopConfig } from "./config.ts";
export type { Clock, Log, LogLevel, Rng } from "./grid/effects.ts";
export { GridError } from "./grid/errors.ts";
export type { Exchange, OutCall, OutHandler, OutRequest, Transport } from "./grid/exchange.ts";
export type { Fleet, FleetListener } from "./grid/fleet.ts";
export type { KernelExports } from "./kernel/wasm.ts";
export {
  createPop,
  HOT_PATHS,
  malformed,
  type Pop,
  type ReloadReport,
  type Runtime,
} from "./pop.ts";
