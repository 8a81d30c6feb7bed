/**
 * A PoP's part in its grid: who it is from a store of texts, sockets from the runtime, all else
 * from `src/`.
 */
import { type GossipConfig, gossipLimits, linkAddress } from "../src/config-gossip.ts";
import { parseCertificate, sameBytes } from "../src/gossip/identity.ts";
import type { Clock, Log, Rng } from "../src/grid/effects.ts";
import { mayClaim } from "../src/mesh/claims.ts";
import { GossipFleet } from "../src/mesh/fleet.ts";
import type { LinkSocket } from "../src/mesh/link.ts";
import { MeshBus } from "../src/mesh/mesh-bus.ts";
import { Expiry } from "./expiry.ts";
import { certificateBytes, type Identity, type IdentityStore } from "./identity.ts";
import { loadIdentity, nidOf } from "./identity.ts";

/** Opens a socket to another PoP. @throws when the address cannot be dialled at all. */
export type Dial = (address: string, frameBytes: number) => LinkSocket;

export interface LocalFleetOptions {
  pop: string;
  config: GossipConfig;
  clock: Clock;
  rng: Rng;
  log: Log;
  store: IdentityStore;
  dial: Dial;
}

export interface LocalFleet {
  fleet: GossipFleet;
  /** Where other PoPs come in, on the PoP's own port. */
  path: string;
  /** Longest message of a link. */
  frameBytes: number;
  /** When its certificate runs out; undefined: a shared key does not. */
  readonly expiry: Expiry | undefined;
  /** Links are taken; before and after, an upgrade is answered with 503. */
  readonly started: boolean;
  /** An open socket on which another PoP came in. */
  accept(socket: LinkSocket): void;
  /** Begins to gossip. `url`: where other PoPs reach this one's door. */
  start(url: string): void;
  close(): Promise<void>;
}

/** A renewed certificate is seen after this long. */
const RENEWAL_MS = 30_000;

/** @throws IdentityError when the files of the identity do not fit together. */
export function createFleet(options: LocalFleetOptions): LocalFleet {
  const { pop, config, clock, rng, log, store, dial } = options;
  const identity = loadIdentity(config, pop, store);
  for (const warning of identity.warnings) log("warn", "identity", { warning });
  const limits = gossipLimits(config);
  const address = (url: string) => linkAddress(url, config.path) as string;
  const timers = { setTimeout, clearTimeout };
  const fleet = new GossipFleet({ clock, timers, log, route: (url) => routed(config.via, url) });
  const join = (url: string): MeshBus =>
    new MeshBus({
      core: {
        address: address(url),
        certificate: identity.certificate,
        keyring: identity.keyring,
        seeds: config.seeds.map(address),
        ...{ limits, rng },
        persistedEpoch: identity.persistedEpoch,
        signHot: "none",
        accept: (author, key, value) =>
          mayClaim(author, key, value, (name) => nidOf(config.grid, name)),
      },
      ...{ clock, timers, log },
      unixMs: () => Date.now(),
      dial: (to) => dial(routed(config.via, to), limits.frameBytes),
      saveEpoch: identity.saveEpoch,
    });
  let bus: MeshBus | undefined;
  const { certificate } = config;
  const expiry =
    certificate === undefined
      ? undefined
      : new Expiry("gossip", store.place(certificate), 1_000 * identity.notAfterS, log);
  const renewal =
    expiry && renewLater(config, store, identity, expiry, (bytes) => bus?.renew(bytes), log);
  return {
    fleet,
    path: config.path,
    frameBytes: limits.frameBytes,
    expiry,
    get started() {
      return bus !== undefined;
    },
    accept: (socket) => (bus === undefined ? socket.close() : bus.accept(socket)),
    start: (url) => {
      if (/\/\/(0\.0\.0\.0|\[::\])(:|$)/.test(url)) {
        log("warn", "no address for other PoPs", { url, hint: "set peers.url" });
      }
      bus = join(url);
      fleet.start(bus);
      bus.start();
    },
    close: async () => {
      clearInterval(renewal);
      await fleet.leave();
      bus = undefined;
    },
  };
}

/** `via` names origins of doors; the scheme of a gossip address says the same with other words. */
export function routed(via: Record<string, string>, text: string): string {
  const url = new URL(text);
  const scheme = url.protocol.startsWith("ws") ? "ws" : "http";
  const secure = url.protocol === "wss:" || url.protocol === "https:";
  const origin = `${secure ? "https:" : "http:"}//${url.host}`;
  const other = Object.entries(via).find(([key]) => new URL(key).origin === origin);
  if (other === undefined) return text;
  const target = new URL(other[1]);
  const rest = url.pathname === "/" && !text.endsWith("/") ? "" : url.pathname;
  return `${scheme}${target.protocol === "https:" ? "s" : ""}://${target.host}${rest}`;
}

/** Certificates live for a week: a new one in the same file is taken over without a restart. */
function renewLater(
  config: GossipConfig,
  store: IdentityStore,
  identity: Identity,
  expiry: Expiry,
  renew: (certificate: Uint8Array) => void,
  log: Log,
) {
  const name = config.certificate as string;
  const file = store.place(name);
  let current = Buffer.from(identity.certificate);
  const look = () => {
    try {
      const next = Buffer.from(certificateBytes(store.text(name, "gossip.certificate"), file));
      if (next.equals(current)) return;
      current = next;
      const { publicKey, notAfterS } = parseCertificate(next).certificate;
      if (!sameBytes(publicKey, identity.publicKey)) {
        throw new Error("it is for another key; a restart takes both");
      }
      renew(next);
      expiry.renewed(1_000 * notAfterS);
      log("info", "certificate renewed", { file });
    } catch (error) {
      log("warn", "certificate not renewed", { message: (error as Error).message });
    } finally {
      expiry.look();
    }
  };
  const timer = setInterval(look, RENEWAL_MS);
  // Where timers keep a process alive, this one must not.
  timer.unref?.();
  return timer;
}
