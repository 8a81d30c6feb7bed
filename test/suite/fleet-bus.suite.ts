/** What every FleetBus must do, whatever carries it. */
import { describe, expect, test } from "vitest";
import type { FleetBus, FleetEvent } from "../../src/gossip/fleet-bus.ts";

export interface Fleet {
  bus(index: number): FleetBus;
  /** Lets time pass, virtual or real. */
  pass(ms: number): Promise<void>;
  /** Lets time pass until it is so, at most `mostMs`; what does not come true shows afterwards. */
  until(met: () => boolean, mostMs: number): Promise<void>;
  stop(index: number): void;
  restart(index: number): void;
  isolate(index: number): void;
  heal(): void;
  close?(): Promise<void>;
}

const bytes = (...values: number[]) => Uint8Array.from(values);
const seen = (fleet: Fleet, holder: number, about: number) => {
  const { nid } = fleet.bus(about);
  return fleet
    .bus(holder)
    .view()
    .find((member) => member.nid === nid);
};

export function fleetBusSuite(name: string, make: (pops: number) => Promise<Fleet>): void {
  const withFleet = (pops: number, run: (fleet: Fleet) => Promise<void>) => async () => {
    const fleet = await make(pops);
    try {
      await run(fleet);
    } finally {
      await fleet.close?.();
    }
  };

  describe.concurrent(name, () => {
    test(
      "everybody sees everybody, alive and routable",
      withFleet(3, async (fleet) => {
        for (const holder of [0, 1, 2]) {
          const view = fleet.bus(holder).view();
          expect(view.map(({ state, routable }) => [state, routable])).toEqual(
            Array(3).fill(["alive", true]),
          );
        }
      }),
    );

    test(
      "the newest load report wins, and its age is never told too young",
      withFleet(3, async (fleet) => {
        for (let i = 0; i < 8; i++) {
          fleet.bus(0).publishHot(bytes(i));
          await fleet.pass(50);
        }
        const newest = () => seen(fleet, 1, 0)?.load?.content[0] === 7;
        await fleet.until(newest, 400);
        expect(newest()).toBe(true);
        fleet.isolate(0);
        await fleet.pass(1000);
        const later = seen(fleet, 1, 0)?.load;
        expect(later?.ageMs).toBeGreaterThanOrEqual(900);
      }),
    );

    test(
      "who comes late gets all cold state and the last load within 2 s",
      withFleet(3, async (fleet) => {
        fleet.stop(2);
        fleet.bus(0).setCold("zone", bytes(1, 2));
        fleet.bus(0).publishHot(bytes(9));
        await fleet.pass(300);
        fleet.restart(2);
        const told = () => seen(fleet, 2, 0)?.load && seen(fleet, 2, 0)?.cold.has("zone");
        await fleet.until(() => told() === true, 2000);
        expect(seen(fleet, 2, 0)?.cold.get("zone")).toEqual(bytes(1, 2));
        expect(seen(fleet, 2, 0)?.load?.content).toEqual(bytes(9));
      }),
    );

    test(
      "a deleted key stays deleted, also for who missed it",
      withFleet(3, async (fleet) => {
        fleet.bus(0).setCold("model", bytes(1));
        const has = () => seen(fleet, 2, 0)?.cold.has("model") ?? false;
        await fleet.until(has, 500);
        fleet.isolate(2);
        fleet.bus(0).setCold("model", null);
        await fleet.pass(3000);
        expect(has()).toBe(true);
        fleet.heal();
        await fleet.until(() => seen(fleet, 2, 0)?.state === "alive" && !has(), 20_000);
        expect(seen(fleet, 2, 0)?.state).toBe("alive");
        expect(seen(fleet, 2, 0)?.cold.has("model")).toBe(false);
      }),
    );

    test(
      "a restart under the same id is a new epoch with new state",
      withFleet(3, async (fleet) => {
        fleet.bus(1).setCold("a", bytes(1));
        await fleet.until(() => seen(fleet, 0, 1)?.cold.has("a") ?? false, 500);
        const before = seen(fleet, 0, 1)?.epoch as number;
        fleet.restart(1);
        fleet.bus(1).setCold("b", bytes(2));
        const renewed = () => seen(fleet, 0, 1)?.cold.has("b") && seen(fleet, 0, 1)?.routable;
        await fleet.until(() => renewed() === true, 3000);
        const after = seen(fleet, 0, 1);
        expect(after?.epoch).toBeGreaterThan(before);
        expect([...(after?.cold.keys() ?? [])]).toEqual(["b"]);
        expect(after?.routable).toBe(true);
      }),
    );

    test(
      "leaving is told at once; ending without a word makes unroutable, then down",
      withFleet(4, async (fleet) => {
        void fleet.bus(3).leave();
        await fleet.until(() => seen(fleet, 0, 3)?.state === "left", 200);
        expect(seen(fleet, 0, 3)?.state).toBe("left");
        fleet.stop(2);
        await fleet.until(() => seen(fleet, 0, 2)?.routable === false, 500);
        expect(seen(fleet, 0, 2)?.routable).toBe(false);
        await fleet.until(() => seen(fleet, 0, 2)?.state === "down", 8000);
        expect(seen(fleet, 0, 2)?.state).toBe("down");
      }),
    );

    test(
      "cut off, a PoP keeps its last view; nothing throws, and the cut heals",
      withFleet(3, async (fleet) => {
        fleet.bus(0).publishHot(bytes(1));
        await fleet.until(() => seen(fleet, 1, 0)?.load !== undefined, 500);
        fleet.isolate(1);
        fleet.bus(1).publishHot(bytes(2));
        fleet.bus(1).setCold("k", bytes(3));
        await fleet.pass(1000);
        expect(seen(fleet, 1, 0)?.load?.content).toEqual(bytes(1));
        fleet.heal();
        const healed = () => seen(fleet, 0, 1)?.cold.has("k") && seen(fleet, 0, 1)?.load;
        await fleet.until(() => healed() !== undefined && healed() !== false, 20_000);
        expect(seen(fleet, 0, 1)?.cold.get("k")).toEqual(bytes(3));
        expect(seen(fleet, 0, 1)?.load?.content).toEqual(bytes(2));
      }),
    );

    test(
      "what is over the limits is refused and changes nothing",
      withFleet(3, async (fleet) => {
        const bus = fleet.bus(0);
        expect(() => bus.publishHot(new Uint8Array(2000))).toThrow(RangeError);
        expect(() => bus.setCold("k", new Uint8Array(10_000))).toThrow(RangeError);
        expect(() => bus.setCold("", bytes(1))).toThrow(RangeError);
        expect(seen(fleet, 0, 0)?.cold.size).toBe(0);
      }),
    );

    test(
      "prefixes of a followed PoP: a snapshot, then changes",
      withFleet(3, async (fleet) => {
        fleet.bus(0).changePrefixes([5, 70_000, 0xffffff], []);
        const { nid } = fleet.bus(0);
        const unfollow = fleet.bus(1).followPrefixes(nid);
        const holds = (hash: number) => fleet.bus(1).prefixes(nid)?.hashes.has(hash) ?? false;
        await fleet.until(() => holds(5), 1500);
        expect([...(fleet.bus(1).prefixes(nid)?.hashes ?? [])]).toEqual([5, 70_000, 0xffffff]);
        fleet.bus(0).changePrefixes([6], [5]);
        await fleet.until(() => holds(6), 1500);
        const view = fleet.bus(1).prefixes(nid);
        expect([...(view?.hashes ?? [])].sort((a, b) => a - b)).toEqual([6, 70_000, 0xffffff]);
        expect(view?.count).toBe(3);
        unfollow();
        expect(fleet.bus(1).prefixes(nid)).toBeUndefined();
      }),
    );

    test(
      "requests are answered, refused, or end when the peer does",
      withFleet(3, async (fleet) => {
        const { nid } = fleet.bus(0);
        const ask = (call: number) => fleet.bus(1).request(nid, call, bytes(call), 1000);
        const unanswered = ask(1);
        await fleet.pass(500);
        expect(await unanswered).toBeUndefined();
        fleet.bus(0).answerWith((_, call, body) => (call === 2 ? bytes(...body, 42) : undefined));
        const answered = ask(2);
        const refused = ask(3);
        await fleet.pass(500);
        expect(await answered).toEqual(bytes(2, 42));
        expect(await refused).toBeUndefined();
        fleet.bus(0).answerWith(() => new Promise(() => {}));
        const hanging = ask(4);
        await fleet.pass(1500);
        expect(await hanging).toBeUndefined();
      }),
    );

    test(
      "a watcher hears of each PoP in order, until it stops watching",
      withFleet(3, async (fleet) => {
        const heard: FleetEvent[] = [];
        const stop = fleet.bus(0).watch((event) => heard.push(event));
        fleet.bus(1).setCold("a", bytes(1));
        await fleet.pass(300);
        fleet.bus(1).setCold("a", null);
        await fleet.pass(300);
        const cold = heard.filter((event) => event.type === "cold");
        expect(cold.map(({ value }) => value)).toEqual([bytes(1), null]);
        stop();
        const { length } = heard;
        fleet.bus(1).setCold("a", bytes(2));
        await fleet.pass(300);
        expect(heard).toHaveLength(length);
      }),
    );
  });
}
