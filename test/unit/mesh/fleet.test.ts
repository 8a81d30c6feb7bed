import { describe, expect, test } from "vitest";
import { card, endpoint, FakeSocket, join, load, type Member, World } from "./world.ts";

/** Two members that have met. */
function pair(): { world: World; a: Member; b: Member } {
  const world = new World();
  const a = join(world, "a");
  const b = join(world, "b");
  world.pass(2_000);
  return { world, a, b };
}

describe("upkeep", () => {
  /** Timers in 10 s; `awakeMs`: how often both PoPs are awake for reasons of their own. */
  const timersIn10S = ({ world, a, b }: ReturnType<typeof pair>, awakeMs: number) => {
    const before = world.fired;
    for (let ms = 0; ms < 10_000; ms += awakeMs) {
      world.pass(awakeMs);
      for (const { fleet } of awakeMs < 1_000 ? [a, b] : []) fleet.settle();
    }
    return world.fired - before;
  };

  test("is done when the PoP is awake anyway: eight wakes a second less, for each", () => {
    const [asleep, awake] = [timersIn10S(pair(), 10_000), timersIn10S(pair(), 40)];
    expect(asleep - awake).toBeGreaterThanOrEqual(2 * 80);
  });

  test("is done all the same, and finds who is silent", () => {
    const { world, a, b } = pair();
    a.fleet.publishCard(card("a"));
    b.fleet.publishCard(card("b"));
    timersIn10S({ world, a, b }, 40);
    expect(a.seen("b")).toMatchObject({ state: "alive", reachable: true });
    world.mute = true;
    for (let ms = 0; ms < 1_640; ms += 40) {
      world.pass(40);
      a.fleet.settle();
    }
    expect(a.seen("b")?.reachable).toBe(false);
  });
});

describe("cards and loads", () => {
  test("a card and a load of one PoP are known to the other, with age and round trip", () => {
    const { world, a, b } = pair();
    a.fleet.publishCard(card("a"));
    a.fleet.publishLoad(load(1_000));
    world.pass(400);
    const told = b.seen("a");
    expect(told?.card.endpoints).toEqual(card("a").endpoints);
    expect(told?.card.url).toBe("http://via-a");
    expect(told?.state).toBe("alive");
    expect(told?.reachable).toBe(true);
    expect(told?.rttMs).toBeCloseTo(10, 0);
    expect(told?.load?.endpoints.map((one) => one.queuedTokens)).toEqual([1_000, 1_001]);
    expect(told?.load?.endpoints.map((one) => one.up)).toEqual([true, false]);
    expect(told?.load?.queueClasses[9]).toBe(700);
    expect(told?.load?.revision).toBe(told?.card.revision);
    // It was true before it came, and never later.
    expect(told?.load?.atMs).toBeLessThanOrEqual(world.nowMs - 5);
    expect(told?.load?.atMs).toBeGreaterThan(world.nowMs - 500);
  });

  test("what is published before the start is told after it", () => {
    const world = new World();
    const a = join(world, "a");
    a.fleet.publishCard(card("a"));
    const b = join(world, "b");
    world.pass(3_000);
    expect(b.seen("a")?.card.endpoints).toHaveLength(2);
  });

  test("a load that follows another card than the one known is not read by its order", () => {
    const { world, a, b } = pair();
    a.fleet.publishCard(card("a"));
    a.fleet.publishLoad(load(5, 2));
    world.pass(1_500);
    expect(b.seen("a")?.load).toBeUndefined();
    a.fleet.publishCard(card("a", { revision: 2 }));
    world.pass(1_500);
    expect(b.seen("a")?.load?.endpoints[0].queuedTokens).toBe(5);
  });

  test("a load is said again when nothing changes, so its age stays below two seconds", () => {
    const { world, a, b } = pair();
    a.fleet.publishCard(card("a"));
    a.fleet.publishLoad(load(5));
    world.pass(30_000);
    expect(world.nowMs - (b.seen("a")?.load?.atMs ?? 0)).toBeLessThan(2_000);
  });

  test("a peer that does not read gets no loads, and the newest when it reads again", () => {
    const { world, a, b } = pair();
    a.fleet.publishCard(card("a"));
    const say = (tokens: number) => {
      a.fleet.publishLoad(load(tokens));
      world.pass(300);
      return b.seen("a")?.load?.endpoints[0]?.queuedTokens;
    };
    expect(say(1_000)).toBe(1_000);
    for (const socket of world.sockets) socket.bufferedAmount = 300_000;
    // What is unsent is known when something is sent.
    expect(say(2_000)).toBe(2_000);
    expect(say(3_000)).toBe(2_000);
    for (const socket of world.sockets) socket.bufferedAmount = 0;
    expect(say(4_000)).toBe(4_000);
  });

  test("a card that is too large is cut to what fits, and the operator is told once", () => {
    const { world, a, b } = pair();
    const many = Array.from({ length: 64 }, (_, i) => ({
      ...endpoint(`endpoint-with-a-long-name-${i}`),
      models: Array.from({ length: 12 }, (_, m) => `organisation/model-${i}-${m}`.padEnd(60, "x")),
      maxInFlight: 1,
    }));
    a.fleet.publishCard(card("a", { endpoints: many }));
    a.fleet.publishCard(card("a", { endpoints: many }));
    world.pass(2_000);
    const told = b.seen("a")?.card.endpoints ?? [];
    expect(told.length).toBeGreaterThan(8);
    expect(told).toEqual(many.slice(0, told.length));
    expect(a.logged.filter((event) => event === "card is cut")).toHaveLength(1);
  });
});

describe("what a PoP may say", () => {
  test("of its capacity it claims no more than its certificate allows", () => {
    const world = new World();
    const a = join(world, "a", { capacity: 100 });
    const b = join(world, "b");
    a.fleet.publishCard(card("a"));
    world.pass(3_000);
    expect(b.seen("a")?.card.endpoints.map((one) => one.maxInFlight)).toEqual([50, 50]);
  });

  test("a name that is another's is refused, counted and not stored", () => {
    const world = new World();
    const a = join(world, "a", { certified: "somebody" });
    const b = join(world, "b");
    a.fleet.publishCard(card("a"));
    world.pass(3_000);
    expect(b.fleet.stats().alive).toBe(2);
    expect(b.pops).toEqual([]);
    const refused = Object.entries(b.fleet.stats()).filter(([name]) => name.startsWith("core."));
    expect(refused.some(([, count]) => count > 0)).toBe(true);
  });

  test("with another key nobody comes in", () => {
    const world = new World();
    const a = join(world, "a");
    join(world, "b", { key: "another key altogether" });
    world.pass(5_000);
    // A dial may be under way at any moment; none of them ever proves itself.
    expect(a.fleet.stats()).toMatchObject({ alive: 1 });
    expect(a.pops).toEqual([]);
    expect(a.fleet.stats()["core.certificate"]).toBeGreaterThan(0);
  });

  test("frames that are no frames close an unproved link; text does at once", () => {
    const world = new World();
    const a = join(world, "a");
    for (const data of [new Uint8Array([0xff, 1, 2]).buffer, "hello"]) {
      const socket = new FakeSocket(world);
      socket.readyState = 1;
      a.bus.accept(socket);
      (socket.onmessage as (m: { data: unknown }) => void)({ data });
      world.pass(50);
      expect(socket.readyState).toBe(3);
    }
    expect(a.fleet.stats().links).toBe(0);
  });
});

describe("health", () => {
  test("a link that breaks makes the peer unreachable at once, and a new one heals it", () => {
    const { world, a, b } = pair();
    a.fleet.publishCard(card("a"));
    world.pass(1_000);
    world.buses.delete("ws://a");
    world.buses.delete("ws://b");
    const { mesh } = a.bus as never as { mesh: { links: Map<number, { drop(): void }> } };
    for (const link of mesh.links.values()) link.drop();
    world.pass(20);
    expect(b.seen("a")).toMatchObject({ reachable: false });
    world.buses.set("ws://a", a.bus).set("ws://b", b.bus);
    world.pass(3_000);
    expect(b.seen("a")).toMatchObject({ state: "alive", reachable: true });
  });

  test("a PoP that leaves has left, and stays quiet", async () => {
    const { world, a, b } = pair();
    a.fleet.publishCard(card("a"));
    world.pass(1_000);
    const left = a.fleet.leave();
    for (let i = 0; i < 50; i++) {
      world.pass(10);
      await Promise.resolve();
    }
    await left;
    expect(b.pops[0]).toMatchObject({ state: "left", reachable: false });
    expect([...b.fleet.pops()]).toEqual([]);
    expect(a.fleet.stats().links).toBe(0);
  });

  test("two that live under one id are told so; a restart is not", () => {
    const { world, a, b } = pair();
    world.buses.get("ws://a")?.end();
    world.pass(3_000);
    const restarted = join(world, "a");
    world.pass(20_000);
    const twin = join(world, "c", { certified: "a" });
    expect([a, b, restarted].flatMap(({ logged }) => logged)).not.toContain("pop.id is taken");
    world.pass(20_000);
    expect(restarted.logged).toContain("pop.id is taken");
    expect(twin.logged).toContain("pop.id is taken");
    expect(b.logged).not.toContain("pop.id is taken");
  });

  test("the epoch is handed out to be kept", () => {
    expect(pair().a.epochs).toEqual([1_700_000_001_000]);
  });
});

describe("digests", () => {
  test("come by endpoint: a snapshot first, then what changes, with a discount", () => {
    const { world, a, b } = pair();
    for (const { fleet } of [a, b]) fleet.publishCard(card(fleet === a.fleet ? "a" : "b"));
    const none = new Uint32Array(0);
    const added = Uint32Array.of(7, 0xabcdef, 0xffffff);
    a.fleet.publishDigest({ endpoint: 1, snapshot: true, added, removed: none });
    world.pass(4_000);
    const held = (index: number) => {
      const hashes = new Set<number>();
      for (const change of b.digests.filter(({ endpoint }) => endpoint === index)) {
        if (change.snapshot) hashes.clear();
        for (const hash of change.removed) hashes.delete(hash);
        for (const hash of change.added) hashes.add(hash);
      }
      return [...hashes].sort((x, y) => x - y);
    };
    expect(held(1)).toEqual([...added]);
    expect(held(0)).toEqual([]);
    const change = { snapshot: false, added: Uint32Array.of(8), removed: Uint32Array.of(7) };
    a.fleet.publishDigest({ endpoint: 1, ...change });
    a.fleet.publishDigest({ endpoint: 0, snapshot: false, added, removed: none });
    world.pass(2_000);
    expect(held(1)).toEqual([8, 0xabcdef, 0xffffff]);
    expect(held(0)).toEqual([...added]);
    // A snapshot forgets what is not in it.
    a.fleet.publishDigest({ endpoint: 1, snapshot: true, added: Uint32Array.of(9), removed: none });
    world.pass(2_000);
    expect(held(1)).toEqual([9]);
    for (const { discount } of b.digests) expect(discount).toBeGreaterThanOrEqual(0);
    for (const { discount } of b.digests) expect(discount).toBeLessThan(1);
  });
});
