/** Three real PoPs on loopback: they meet, lose, wait for and refuse each other. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import {
  type GridProcess,
  gridState,
  makeGrid,
  type PopSeen,
  seen,
  untilMet,
} from "./grid-process.ts";
import { eventually, type ServerProcess } from "./pop-process.ts";

let grid: GridProcess;
let pops: ServerProcess[];

beforeAll(async () => {
  grid = await makeGrid(4);
  pops = await Promise.all([0, 1, 2].map((index) => grid.start(index)));
}, 30_000);

afterAll(() => grid.close());

async function took(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

/** A socket to a PoP's gossip, and how it ended. */
function socketTo(pop: ServerProcess, path = "/grid/link") {
  const socket = new WebSocket(`ws://127.0.0.1:${pop.port}${path}`);
  const opened = new Promise<void>((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("error", reject);
  });
  const closed = new Promise<number>((resolve) => socket.once("close", resolve));
  opened.catch(() => undefined);
  return { socket, opened, closed };
}

const isMeasured = ({ rttMs, loadAgeMs }: PopSeen): boolean =>
  rttMs !== null && rttMs < 50 && loadAgeMs !== null && loadAgeMs < 2_500;

describe("three PoPs", () => {
  test("see each other within two seconds, measured and with a load of this second", async () => {
    await untilMet(pops, 2_000);
    // Round trips of the first second are those of processes that start.
    await eventually(
      "round trips and loads",
      async () => {
        const states = await Promise.all(pops.map(gridState));
        return states.every((state) => state.pops.every(isMeasured));
      },
      3_000,
    );
    for (const state of await Promise.all(pops.map(gridState))) {
      expect(state.gossip).toMatchObject({ links: 2, members: 3, alive: 3, overflows: 0 });
    }
  }, 15_000);

  test("one that is killed is unreachable for the others within half a second", async () => {
    await pops[2].kill("SIGKILL");
    const goneMs = await took(() =>
      Promise.all(
        pops
          .slice(0, 2)
          .map((pop) =>
            eventually(
              "p2 is unreachable",
              async () => (await seen(pop, "p2"))?.reachable === false,
              2_000,
            ),
          ),
      ),
    );
    expect(goneMs).toBeLessThan(500);
    pops[2] = await grid.start(2);
    await untilMet(pops, 3_000);
  }, 15_000);

  test("one that hangs is unreachable within two seconds and comes back by itself", async () => {
    pops[1].child.kill("SIGSTOP");
    const others = [pops[0], pops[2]];
    const goneMs = await took(() =>
      Promise.all(
        others.map((pop) =>
          eventually(
            "p1 is unreachable",
            async () => (await seen(pop, "p1"))?.reachable === false,
            5_000,
          ),
        ),
      ),
    );
    expect(goneMs).toBeLessThan(2_000);
    pops[1].child.kill("SIGCONT");
    expect(await took(() => untilMet(pops, 5_000))).toBeLessThan(2_500);
  }, 20_000);

  test("one that ends properly has left, and is no candidate any more", async () => {
    await pops[2].stop();
    await eventually(
      "p2 is forgotten",
      async () => (await seen(pops[0], "p2")) === undefined,
      2_000,
    );
    pops[2] = await grid.start(2);
    await untilMet(pops, 3_000);
  }, 15_000);
});

describe("strangers", () => {
  test("a certificate of another authority is refused and counted", async () => {
    grid.issue("p3", "strangers");
    // It trusts its own root only, so the refusal is mutual.
    const before = (await gridState(pops[0])).gossip["core.certificate"] ?? 0;
    const stranger = await grid.start(3);
    await eventually(
      "the refusal",
      async () => {
        return ((await gridState(pops[0])).gossip["core.certificate"] ?? 0) > before;
      },
      5_000,
    );
    expect((await gridState(stranger)).pops).toEqual([]);
    expect(await seen(pops[0], "p3")).toBeUndefined();
    await stranger.stop();
  }, 15_000);

  test.each([
    ["an oversized frame", Buffer.alloc(70_000), 1009],
    ["a frame that is none", Buffer.from([0xc1, 0, 1]), 1000],
    ["text", "hello", 1003],
  ])("%s ends the link, not the process", async (_, frame, code) => {
    const { socket, opened, closed } = socketTo(pops[0]);
    await opened;
    socket.send(frame);
    expect(await closed).toBe(code);
    await eventually(
      "the link is gone",
      async () => {
        return (await gridState(pops[0])).gossip.links === 2;
      },
      2_000,
    );
  });

  test("compression is not agreed to, and other paths are no gossip", async () => {
    const { socket, opened, closed } = socketTo(pops[0]);
    await opened;
    expect(socket.extensions).toBe("");
    socket.terminate();
    await closed;
    await expect(socketTo(pops[0], "/v1/chat/completions").opened).rejects.toThrow(/405/);
  });
});
