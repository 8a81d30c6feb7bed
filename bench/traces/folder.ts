/** Where public traces lie: GRIDPOINT_TRACES, else beside the checkout. */
import { fileURLToPath } from "node:url";

export function traceFolder(): string {
  const beside = fileURLToPath(new URL("../../../shared/traces", import.meta.url));
  return process.env.GRIDPOINT_TRACES ?? beside;
}
