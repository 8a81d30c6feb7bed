/** Endpoints whose url leads back to the PoP, directly or by way of another: seen, and said. */
import { afterEach, expect, test } from "vitest";
import { serveNode } from "../../edge/node.ts";
import { parseConfig } from "../../src/config.ts";
import { freePorts } from "./free-ports.ts";
import { eventually, inFlight, startPop } from "./pop-process.ts";
import { closeAll, closing, type State, stateOf } from "./sites.ts";

afterEach(closeAll);

const configOf = (port: number, next: number) => ({
  listen: { host: "127.0.0.1", port },
  endpoints: [{ id: "next", url: `http://127.0.0.1:${next}`, models: ["m"] }],
});

/** An id of the caller's own says nothing of where the request has been. */
async function ask(base: string): Promise<string> {
  const response = await fetch(`${base}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-request-id": "mine" },
    body: JSON.stringify({ model: "m", messages: [{ role: "user", content: "x" }] }),
  });
  return `${response.status} ${await response.text()}`;
}

const REFUSED = /^503 .*The last attempt failed: The endpoint answered 50[38]/;

test.each([
  ["a PoP that is its own endpoint", 1],
  ["two PoPs that are each other's", 2],
])("%s", async (_, count) => {
  const ports = await freePorts(count);
  const lines: [string, string, object | undefined][] = [];
  const log = (...line: (typeof lines)[number]) => void lines.push(line);
  // Each has the next for its only endpoint, and the last the first.
  const pops = await Promise.all(
    ports.map(async (port, at) => {
      const parsed = parseConfig(configOf(port, ports[(at + 1) % count] as number));
      if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
      const pop = await serveNode(parsed.config, { log });
      closing(() => pop.close());
      return pop;
    }),
  );
  const states = (): State[] => pops.map(stateOf);
  await eventually("all are ready", () =>
    states().every(({ endpoints }) => endpoints[0]?.phase === "ready"),
  );
  expect(await ask(pops[0]?.url as string)).toMatch(REFUSED);
  const back = lines.filter(([, event]) => event === "request came back");
  expect(back).toMatchObject([["warn", "request came back", { request: "mine" }]]);
  expect(states().map(({ running }) => running)).toEqual(Array(count).fill(0));
});

test("one of two processes", async () => {
  const [port] = await freePorts(1);
  const args = ["--processes", "2"];
  const pop = await startPop(configOf(port, port), { ready: false, args });
  closing(() => pop.stop());
  // Both, and the one in front.
  await pop.said(/(endpoint is ready[\s\S]*){3}/);
  expect(await ask(pop.base)).toMatch(REFUSED);
  await pop.said(/request came back.*request=mine/);
  // What the other process had in flight is heard a tick later.
  await eventually("nothing is left", async () => (await inFlight(pop)) === 0);
});
