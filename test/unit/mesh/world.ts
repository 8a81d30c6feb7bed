/**
 * A few fleets in one function-call world: a clock that the test turns, timers that fire in order,
 * sockets that are pairs of objects. Nothing sleeps.
 */
import { hmacSigner, nidOf } from "../../../edge/identity.ts";
import { issueCertificate, Keyring, ROLE } from "../../../src/gossip/identity.ts";
import { GOSSIP_LIMITS } from "../../../src/gossip/limits.ts";
import type { DigestChange, FleetPop, PopCard } from "../../../src/grid/fleet.ts";
import { mayClaim } from "../../../src/mesh/claims.ts";
import { GossipFleet } from "../../../src/mesh/fleet.ts";
import type { LinkSocket } from "../../../src/mesh/link.ts";
import { MeshBus } from "../../../src/mesh/mesh-bus.ts";

export class World {
  nowMs = 1_000;
  private timers: { id: number; atMs: number; run: () => void }[] = [];
  private next = 1;
  /** Nothing that is sent from now on arrives, and nobody is told. */
  mute = false;
  /** Timers that came due. */
  fired = 0;
  readonly buses = new Map<string, MeshBus>();
  /** Both ends of every link that was dialled. */
  readonly sockets: FakeSocket[] = [];

  readonly clock = () => this.nowMs;

  readonly setTimeout = (run: () => void, ms: number): number => {
    const id = this.next++;
    this.timers.push({ id, atMs: this.nowMs + ms, run });
    return id;
  };

  readonly clearTimeout = (id: number): void => {
    this.timers = this.timers.filter((timer) => timer.id !== id);
  };

  /** Turns the clock on and fires what is due, in order of time and making. */
  pass(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const due = this.timers.filter(({ atMs }) => atMs <= untilMs);
      if (due.length === 0) break;
      const first = due.reduce((a, b) => (b.atMs < a.atMs ? b : a));
      this.clearTimeout(first.id);
      this.nowMs = Math.max(this.nowMs, first.atMs);
      this.fired++;
      first.run();
    }
    this.nowMs = untilMs;
  }

  dial(address: string): FakeSocket {
    const bus = this.buses.get(address);
    const near = new FakeSocket(this);
    if (bus === undefined) {
      this.setTimeout(() => near.ended(), 1);
      return near;
    }
    const far = new FakeSocket(this);
    this.sockets.push(near, far);
    near.peer = far;
    far.peer = near;
    this.setTimeout(() => {
      far.readyState = 1;
      bus.accept(far as LinkSocket);
      near.readyState = 1;
      (near.onopen as () => void)();
    }, DELAY_MS);
    return near;
  }
}

/** One way. */
export const DELAY_MS = 5;

export class FakeSocket {
  binaryType = "";
  bufferedAmount = 0;
  readyState = 0;
  onopen: unknown;
  onmessage: unknown;
  onclose: unknown;
  onerror: unknown;
  peer: FakeSocket | undefined;
  readonly closed: (number | undefined)[] = [];
  private readonly world: World;

  constructor(world: World) {
    this.world = world;
  }

  /** As Node hands it on: a Buffer over memory that is its own only while it is looked at. */
  send(bytes: Uint8Array): void {
    if (this.world.mute) return;
    const data = Buffer.from(bytes);
    this.world.setTimeout(() => {
      const { peer } = this;
      if (peer?.readyState === 1) (peer.onmessage as (m: { data: unknown }) => void)({ data });
      data.fill(0xff);
    }, DELAY_MS);
  }

  close(code?: number): void {
    this.closed.push(code);
    if (this.readyState >= 2) return;
    this.readyState = 2;
    this.world.setTimeout(() => {
      this.ended();
      this.peer?.ended();
    }, DELAY_MS);
  }

  terminate(): void {
    this.ended();
    this.world.setTimeout(() => this.peer?.ended(), DELAY_MS);
  }

  ended(): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    (this.onclose as (() => void) | undefined)?.();
  }
}

export interface Member {
  fleet: GossipFleet;
  bus: MeshBus;
  /** Newest first. */
  pops: FleetPop[];
  digests: DigestChange[];
  epochs: number[];
  logged: string[];
  seen(pop: string): FleetPop | undefined;
}

export interface MemberOptions {
  key?: string;
  capacity?: number;
  /** Name whose id the certificate has, when it is not the own. */
  certified?: string;
}

export function join(world: World, pop: string, options: MemberOptions = {}): Member {
  const signer = hmacSigner(options.key ?? "one key for all of them");
  const none = new Uint8Array(0);
  const nid = nidOf("g", options.certified ?? pop);
  const facts = { nid, publicKey: none, zone: "z", roles: ROLE.relay, notAfterS: 2 ** 40 };
  const capacity = options.capacity ?? 1_000;
  const certificate = issueCertificate({ ...facts, capacity }, "g", signer);
  const member: Member = {
    ...{ pops: [], digests: [], epochs: [], logged: [] },
    ...{ fleet: undefined as never, bus: undefined as never },
    seen: (id) => {
      member.fleet.settle();
      return member.pops.find(({ card }) => card.id === id);
    },
  };
  let random = pop.length * 7919 + pop.charCodeAt(pop.length - 1);
  const { clock } = world;
  const timers = { setTimeout: world.setTimeout, clearTimeout: world.clearTimeout as never };
  const log = (_level: string, event: string) => member.logged.push(event);
  const route = (url: string) => url.replace("door", "via");
  member.fleet = new GossipFleet({ clock, timers, log, route });
  member.bus = new MeshBus({
    core: {
      address: `ws://${pop}`,
      certificate,
      keyring: new Keyring("g", signer, [none]),
      seeds: ["ws://a", "ws://b"],
      limits: GOSSIP_LIMITS,
      rng: () => (random = (Math.imul(random, 1664525) + 1013904223) >>> 0),
      persistedEpoch: 0,
      signHot: "none",
      accept: (author, key, value) => mayClaim(author, key, value, (name) => nidOf("g", name)),
    },
    ...{ clock, timers, log },
    unixMs: () => 1_700_000_000_000 + world.nowMs,
    dial: (address) => world.dial(address) as LinkSocket,
    saveEpoch: (epoch) => member.epochs.push(epoch),
  });
  const keep = (told: FleetPop) => member.pops.unshift(structuredClone(told));
  member.fleet.listen({
    ...{ onPop: keep, onLoad: keep },
    onDigest: (change) => member.digests.push(change),
  });
  world.buses.set(`ws://${pop}`, member.bus);
  member.fleet.start(member.bus);
  member.bus.start();
  return member;
}

export function card(id: string, change: Partial<PopCard> = {}): PopCard {
  return {
    ...{ id, url: `http://door-${id}`, tier: "edge", region: "eu-de", zone: "z" },
    ...{ chunkBytes: 512, draining: false, revision: 1 },
    endpoints: [endpoint("e-1"), endpoint("e-2")],
    ...change,
  } as PopCard;
}

export const endpoint = (id: string): PopCard["endpoints"][number] => ({
  ...{ id, tier: "regional", region: "eu-fr", models: ["m-8b", "m-70b"], capabilities: 3 },
  ...{ contextTokens: 131_072, tenants: ["t"], admission: "existing-only" as const },
  ...{ priceIn: 0.05, priceCached: 0.005, priceOut: 1.2, maxInFlight: 256, replicas: 1 },
  tier: "regional" as const,
});

export const load = (queuedTokens: number, revision = 1) => ({
  revision,
  queueClasses: Array.from({ length: 20 }, (_, i) => (i === 9 ? 700 : 0)),
  endpoints: [0, 1].map((i) => ({
    ...{ up: i === 0, queuedTokens: queuedTokens + i, inFlight: 3 * i, kvUsage: 0.25 },
    ...{ prefillRate: 8, itlMs: 21 },
  })),
});
