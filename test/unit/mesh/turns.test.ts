import { describe, expect, test } from "vitest";
import type { GossipCore } from "../../../src/gossip/core.ts";
import type { MeshLink } from "../../../src/mesh/link.ts";
import type { Mesh } from "../../../src/mesh/mesh.ts";
import { card, DELAY_MS, join, load, type Member, World } from "./world.ts";

/** The PoPs are awake so often. */
const TURN_MS = 40;
const coreOf = ({ bus }: Member) => (bus as never as { core: GossipCore }).core;

/** Two members that have met; `b` has turns, and what it hears of loads is noted with its time. */
function listening() {
  const world = new World();
  const [a, b] = [join(world, "a"), join(world, "b")];
  const heardMs: number[] = [];
  b.bus.watch(({ type }) => type === "hot" && heardMs.push(world.nowMs));
  a.fleet.publishCard(card("a"));
  /** Ends with a turn; `between` comes each millisecond. */
  const turns = (count: number, between = () => undefined as unknown) => {
    for (let turn = 0; turn < count; turn++) {
      for (let ms = 0; ms < TURN_MS; ms++) {
        world.pass(1);
        between();
      }
      b.fleet.settle();
    }
  };
  turns(50);
  return { world, a, b, heardMs, turns };
}

describe("a load report that came", () => {
  test("is read in the PoP's turn, and is as old as it is", () => {
    const { world, a, b, heardMs, turns } = listening();
    const startMs = world.nowMs;
    let tokens = 0;
    let late = 0;
    turns(25, () => a.fleet.publishLoad(load(tokens++)));
    expect(heardMs.length).toBeGreaterThanOrEqual(3);
    for (const atMs of heardMs) expect((atMs - startMs) % TURN_MS).toBe(0);
    // What is told of an age is never too young, and a turn too old at most.
    turns(10, () => {
      const report = b.bus.load(a.bus.nid);
      const made = coreOf(a).members.self.hot;
      if (report?.seq !== made?.seq || report === undefined || made === undefined) return;
      late = Math.max(late, made.receivedMs - report.atMs);
      expect(report.atMs).toBeLessThanOrEqual(made.receivedMs);
    });
    expect(late).toBeLessThanOrEqual(TURN_MS);
    expect(b.seen("a")?.load?.endpoints[0]?.queuedTokens).toBeGreaterThan(tokens - 400);
  });

  test("is read at once by a PoP without turns, or whose turns have ended", () => {
    const { world, a, heardMs } = listening();
    // The upkeep reads what waited when they ended.
    world.pass(1_000);
    heardMs.length = 0;
    const startMs = world.nowMs;
    for (let ms = 0; ms < 2_000; ms++) {
      a.fleet.publishLoad(load(ms));
      world.pass(1);
    }
    // A review each second is a turn, too: what comes right behind it waits for the next upkeep.
    const onTurns = heardMs.filter((atMs) => (atMs - startMs) % TURN_MS === 0);
    expect(heardMs.length).toBeGreaterThanOrEqual(7);
    expect(onTurns.length).toBeLessThan(heardMs.length / 2);
  });

  test("does not wait where it is passed on", () => {
    const { a, b, heardMs, turns } = listening();
    const core = coreOf(b);
    const [link] = core.links.values();
    core.spread.takeRelay(link as never, true, []);
    turns(1);
    heardMs.length = 0;
    const sentMs = new Set<number>();
    let tokens = 0;
    turns(25, () => {
      a.fleet.publishLoad(load(tokens++));
      const { hot } = coreOf(a).members.self;
      if (hot !== undefined) sentMs.add(hot.receivedMs);
    });
    expect(heardMs.length).toBeGreaterThanOrEqual(3);
    for (const atMs of heardMs) expect(sentMs).toContain(atMs - DELAY_MS);
  });

  test("is read before whatever comes behind it, which waits for nothing", () => {
    const { world, a, b, turns } = listening();
    turns(10);
    const order: string[] = [];
    b.bus.watch(({ type }) => type === "hot" && order.push("load"));
    b.bus.answerWith((_nid, _call, body) => {
      order.push("call");
      return body;
    });
    const sent = () => coreOf(a).members.self.hot?.seq;
    const before = sent();
    a.fleet.publishLoad(load(77));
    for (let ms = 0; sent() === before && ms < 300; ms++) world.pass(1);
    b.fleet.settle();
    order.length = 0;
    void a.bus.request(b.bus.nid, 1, new Uint8Array(3), 500);
    world.pass(DELAY_MS + 1);
    expect(order).toEqual(["load", "call"]);
  });

  test("waits with 255 others at most", () => {
    const { b } = listening();
    const { mesh } = b.bus as never as { mesh: Mesh };
    const { links } = mesh as never as { links: Map<number, MeshLink> };
    const [link] = links.values() as Iterable<MeshLink>;
    const breaches = () => b.bus.stats()["core.schema"] ?? 0;
    for (let i = 0; i < 256; i++) mesh.onFrame(link as MeshLink, Uint8Array.of(0x92, 5, 0xc1));
    expect(breaches()).toBe(0);
    mesh.onFrame(link as MeshLink, Uint8Array.of(0x92, 5, 0xc1));
    expect(breaches()).toBeGreaterThan(0);
  });
});
