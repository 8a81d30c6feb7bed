/**
 * The runtimes that these suites can start a PoP on. GRIDPOINT_RUNTIME names one; without it, Node.
 * Bun, Deno and workerd are binaries in `test/runtimes`: `npm run test:runtimes` installs them.
 */
import { existsSync } from "node:fs";
import { arch } from "node:os";
import { fileURLToPath } from "node:url";
import { program, SOURCE } from "./program.ts";

export const RUNTIMES = ["node", "bun", "deno", "workerd"] as const;
export type RuntimeName = (typeof RUNTIMES)[number];

const path = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const packages = path("test/runtimes/node_modules/");
const ARM = arch() === "arm64";
const BINARIES: Record<RuntimeName, string> = {
  node: process.execPath,
  bun: `${packages}@oven/bun-linux-${ARM ? "aarch64" : "x64"}/bin/bun`,
  deno: `${packages}@deno/linux-${ARM ? "arm64" : "x64"}-glibc/deno`,
  workerd: `${packages}@cloudflare/workerd-linux-${ARM ? "arm64" : "64"}/bin/workerd`,
};

/** The one under test in this process. */
export const runtimeUnderTest = nameOf(process.env["GRIDPOINT_RUNTIME"] ?? "node");

function nameOf(text: string): RuntimeName {
  const name = RUNTIMES.find((one) => one === text);
  if (name === undefined) throw new Error(`GRIDPOINT_RUNTIME is one of ${RUNTIMES.join(", ")}`);
  return name;
}

/** Another binary than the package's: GRIDPOINT_BUN, GRIDPOINT_DENO, GRIDPOINT_WORKERD. */
export function binaryOf(runtime: RuntimeName): string {
  return process.env[`GRIDPOINT_${runtime.toUpperCase()}`] ?? BINARIES[runtime];
}

/** Why it cannot be tested here; undefined: it can. */
export function missing(runtime: RuntimeName): string | undefined {
  if (existsSync(binaryOf(runtime))) return undefined;
  return `${runtime} is not installed: npm run test:runtimes installs it`;
}

/** `gridpoint ...args`, or another script, on a runtime that runs scripts itself. */
export function commandLine(
  runtime: RuntimeName,
  args: string[],
  script = runtime === "node" ? program : SOURCE,
): [file: string, args: string[]] {
  const flags = { node: [], bun: [], deno: ["run", "-A", "--node-modules-dir=manual"] };
  if (runtime === "workerd") throw new Error("workerd has no command line: startWorkerd");
  return [binaryOf(runtime), [...flags[runtime], script, ...args]];
}

/** What Bun takes once, when it starts: as in edge/deploy/Dockerfile.bun, which says why. */
export const ENVIRONMENT = {
  BUN_CONFIG_MAX_HTTP_REQUESTS: "65336",
  MIMALLOC_PURGE_DELAY: "5000",
  MIMALLOC_PURGE_HOLES: "0",
};

/** What a runtime cannot do or does otherwise, and why: the rows of README's table. */
const OWN_POOL =
  "its fetch owns the connections and cannot be told to make one: such an engine is served one " +
  "request after the other, of many at once some find closed connections until limits.retries is " +
  "used up; give each request a new connection with a proxy before that engine";

export const DEVIATIONS = {
  "a client that closes without a reset": {
    workerd:
      "your own workerd hears a reset at once, but a close only when a write fails (workerd " +
      "#4185): within 50 ms in a stream that has begun, since a comment is written every 15 ms; " +
      "timeouts.keepAliveCommentMs: 1 begins streams in prefill, too; HAProxy with " +
      "abortonclose in front resets, wherever the request is; Cloudflare's own tells at once",
  },
  "an engine that closes connections after answers without saying so": {
    deno: OWN_POOL,
    workerd: OWN_POOL,
  },
  "malformed HTTP": {
    bun: "Bun's parser refuses it with a bare status and closes",
    deno: "Deno's parser refuses it with a bare status, or closes",
    workerd:
      "workerd's parser refuses it with a bare status and closes; of two lengths it takes the " +
      "chunked one and closes after it",
  },
  "SIGTERM drains": {
    workerd: "no signal reaches an object: POST /grid/drain, wait for running 0, then SIGTERM",
  },
  "a new process loses what ran": {
    workerd:
      "a new object gets what the old one had not begun to answer, if its body has a length of " +
      "at most 4 MiB; without one it is lost as well",
  },
  "hand-overs from this machine are believed": {
    workerd: "it does not tell who connects: set peers.key, or peers.open",
  },
  "slow reader on a socket": {
    workerd: "workerd does not tell how much of a WebSocket is unsent; send never says false",
  },
  "TLS on the own port, peers.ca": {
    bun: "a config with them is refused; NODE_EXTRA_CA_CERTS, and a proxy in front",
    deno: "a config with them is refused; DENO_CERT, and a proxy in front",
    workerd: "the platform's: sockets of workerd.capnp, or Cloudflare",
  },
  "serve --processes": {
    bun: "Node only: run one PoP per core",
    deno: "Node only: run one PoP per core",
    workerd: "one object is the PoP",
  },
  "connect time-out": {
    bun: "for https: only, where it is fetch's: the first-token time-out counts",
    deno: "fetch does not tell when a connection stands: the first-token time-out counts",
    workerd: "fetch does not tell when a connection stands: the first-token time-out counts",
  },
  "slow headers": {
    bun: "Bun.serve has no limit for headers that drip; a proxy in front has",
    deno: "Deno.serve has no limit for headers that drip; a proxy in front has",
    workerd: "workerd has no limit for headers that drip; a proxy in front has",
  },
} satisfies Record<string, Partial<Record<RuntimeName, string>>>;

/** For `test.skipIf(deviation("key"))`: why the runtime under test is not held to it. */
export function deviation(key: keyof typeof DEVIATIONS): string | undefined {
  return (DEVIATIONS[key] as Partial<Record<RuntimeName, string>>)[runtimeUnderTest];
}
