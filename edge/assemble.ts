/**
 * What every runtime with a machine of its own does alike: a PoP from its config, its part in the
 * grid, and the order in which they begin and end. Listening is the adapter's.
 */
import kernelModule from "#kernel-module";
import { createPop, type Fleet, type Log, type Pop, type PopConfig } from "../src/index.ts";
import type { Transport } from "../src/index.ts";
import type { FleetListener } from "../src/grid/fleet.ts";
import type { Dial as TcpDial } from "../src/grid/tcp.ts";
import type { ProcessPort } from "../src/grid/processes.ts";
import type { KernelExports } from "../src/kernel/wasm.ts";
import { createFleet, type Dial, type LocalFleet } from "./fleet.ts";
import { diskStore, type IdentityStore } from "./identity.ts";
import type { Expiry } from "./expiry.ts";
import type { UpgradePath } from "./node-upgrade.ts";
import { bufferedRandom } from "./random.ts";

export interface ServedPop {
  url: string;
  pop: Pop;
  reload(config: PopConfig): { changed: string[]; needsRestart: string[] };
  /** Says that it leaves, then takes nothing new and waits for what runs, as `Pop.drain` does. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

export interface Effects {
  log: Log;
  /** Instead of gossip by the config. */
  fleet?: Fleet | undefined;
  /** Against which file names in the config are read. */
  folder?: string | undefined;
  /** Instead of files. */
  store?: IdentityStore | undefined;
  /** Other processes of this PoP. */
  processes?: ProcessPort | undefined;
  /** Hears what the PoP hears of the grid. */
  alsoHears?: FleetListener | undefined;
  /** Instead of the own way in for links of other PoPs. */
  link?: UpgradePath | undefined;
}

/** Creates the PoP and listens. @throws Error with code EADDRINUSE when the port is taken */
export type Serve = (config: PopConfig, effects: Effects) => Promise<ServedPop>;

/** How a PoP reaches engines and other PoPs. */
export interface Ways {
  transport: Transport;
  /** Links of gossip; undefined where the config has none. */
  dial: Dial | undefined;
  /** Plain TCP, for the events of engines' caches; undefined where there is none. */
  tcp?: TcpDial | undefined;
}

export interface AssembledPop {
  pop: Pop;
  gossip: LocalFleet | undefined;
  /** Of the certificates that it shows; an adapter adds its own. */
  expiries: Expiry[];
  /** It can be reached there: other PoPs are told. Returns the URL. */
  listening(url: string): string;
  close(): Promise<void>;
}

/** @throws IdentityError */
export function assemblePop(
  config: PopConfig,
  { log, fleet, folder = ".", store = diskStore(folder), processes, alsoHears }: Effects,
  { transport, dial, tcp }: Ways,
): AssembledPop {
  const shared = { clock: () => performance.now(), rng: bufferedRandom(), log };
  const gossip =
    config.gossip === undefined || fleet !== undefined || dial === undefined
      ? undefined
      : createFleet({ pop: config.pop.id, config: config.gossip, ...shared, store, dial });
  const kernelExports = () =>
    new WebAssembly.Instance(kernelModule, {}).exports as never as KernelExports;
  const expiries = gossip?.expiry === undefined ? [] : [gossip.expiry];
  const pop = createPop(config, {
    ...{ ...shared, transport, kernelExports, dial: tcp },
    fleet: fleet ?? (gossip && heardBy(gossip.fleet, alsoHears)),
    processes,
    certificates: () => expiries,
  });
  return {
    pop,
    gossip,
    expiries,
    listening: (url) => {
      gossip?.start(config.peers.url ?? url);
      pop.announce(url);
      return url;
    },
    close: async () => {
      await pop.close();
      await gossip?.close();
      await transport.close();
    },
  };
}

/** Where a PoP on a machine of its own listens. */
export function localUrl({ host, tls }: PopConfig["listen"], port: number): string {
  const name = host.includes(":") ? `[${host}]` : host;
  return `${tls === undefined ? "http" : "https"}://${name}:${port}`;
}

/** The same fleet, with a second listener. */
function heardBy(fleet: Fleet, also: FleetListener | undefined): Fleet {
  if (also === undefined) return fleet;
  const both = (first: FleetListener): FleetListener => ({
    onPop: (pop) => {
      first.onPop(pop);
      also.onPop(pop);
    },
    onLoad: (pop) => {
      first.onLoad(pop);
      also.onLoad(pop);
    },
    onDigest: (change) => {
      first.onDigest(change);
      also.onDigest(change);
    },
  });
  return new Proxy(fleet, {
    get: (target, name) => {
      if (name === "listen") return (first: FleetListener) => target.listen(both(first));
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
