/** Endpoints whose url leads back to the PoP, directly or by way of another: seen, and said. */
import { afterEach, expect, test } from "vitest";
import { freePorts } from "./free-ports.ts";
import { inFlight, type ServerProcess, startPop } from "./pop-process.ts";

const pops: ServerProcess[] = [];

afterEach(async () => {
  for (const pop of pops.splice(0)) await pop.stop();
});

/** PoPs of which each has the next for its only endpoint, and the last the first. */
async function ring(count: number, ...args: string[]): Promise<ServerProcess> {
  const ports = await freePorts(count);
  for (const [at, port] of ports.entries()) {
    const next = ports[(at + 1) % count];
    const endpoints = [{ id: "next", url: `http://127.0.0.1:${next}`, models: ["m"] }];
    const listen = { host: "127.0.0.1", port };
    const config = { pop: { id: `pop-${at}` }, listen, endpoints };
    pops.push(await startPop(config, { ready: false, args }));
  }
  return pops[0] as ServerProcess;
}

test.each([
  ["a PoP that is its own endpoint", 1, []],
  ["one of two processes", 1, ["--processes", "2"]],
  ["two PoPs that are each other's", 2, []],
])("%s", async (_, count, args) => {
  const pop = await ring(count, ...args);
  // Of two processes both, and the one in front.
  await pop.said(args.length > 0 ? /(endpoint is ready[^]*){3}/ : /endpoint is ready/);
  const response = await fetch(`${pop.base}/v1/chat/completions`, {
    method: "POST",
    // An id of the caller's own says nothing of where the request has been.
    headers: { "content-type": "application/json", "x-request-id": "mine" },
    body: JSON.stringify({ model: "m", messages: [{ role: "user", content: "x" }] }),
  });
  expect(response.status).toBe(503);
  expect(await response.text()).toContain("The last attempt failed: The endpoint answered 50");
  await pop.said(/request came back.*request=mine/);
  expect(await inFlight(pop)).toBe(0);
});
