/**
 * How a PoP is started on workerd: built once per process, the config in the environment, files
 * that the config names under `gossip` as bindings.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildWorkerd } from "../../edge/build-workerd.ts";
import { binaryOf } from "./runtimes.ts";

export interface WorkerdCommand {
  file: string;
  args: string[];
  env: Record<string, string>;
}

const BINDINGS = { key: "POP_KEY", certificate: "POP_CERTIFICATE", roots: "GRID_ROOTS" } as const;

/** One build per entry and process; the folder goes when the process ends. */
const builds = new Map<string | undefined, Promise<string>>();

export function builtWorkerd(entry?: string): Promise<string> {
  const known = builds.get(entry);
  if (known !== undefined) return known;
  const folder = mkdtempSync(join(tmpdir(), "gridpoint-workerd-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const built = buildWorkerd(folder, entry).then(() => folder);
  builds.set(entry, built);
  return built;
}

type Sections = Record<string, unknown>;

/** @param state folder for the object's storage */
export async function workerdCommand(
  config: Sections,
  port: number,
  state: string,
  entry?: string,
): Promise<WorkerdCommand> {
  const folder = await builtWorkerd(entry);
  const gossip = { ...(config["gossip"] as Sections | undefined) };
  const env: Record<string, string> = {};
  for (const [key, binding] of Object.entries(BINDINGS)) {
    const file = gossip[key];
    if (typeof file !== "string") continue;
    env[binding] = readFileSync(file, "utf8");
    gossip[key] = binding;
  }
  const whole: Sections = { ...config };
  if (config["gossip"] !== undefined) {
    const url = `http://127.0.0.1:${port}`;
    Object.assign(whole, { gossip, peers: { url, ...(config["peers"] as Sections) } });
  }
  env["GRIDPOINT_CONFIG"] = JSON.stringify(whole);
  const options = ["--socket-addr", `http=127.0.0.1:${port}`, "--directory-path", `state=${state}`];
  const args = ["serve", join(folder, "workerd.capnp"), ...options];
  return { file: binaryOf("workerd"), args, env };
}
