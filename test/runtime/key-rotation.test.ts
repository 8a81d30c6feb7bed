/** Keys that come and go in a running PoP: what they had opened goes with them. */
import { createHash } from "node:crypto";
import { afterEach, expect, test } from "vitest";
import { parseConfig } from "../../src/config.ts";
import { MemoryGrid } from "../fleet.ts";
import { clock, closeAll, engine, ownReady, site } from "./sites.ts";
import { SocketClient } from "./socket-client.ts";

afterEach(closeAll);

const auth = (...tenants: string[]) => ({
  keys: tenants.map((tenant) => ({
    sha256: createHash("sha256").update(`key-${tenant}`).digest("hex"),
    tenant,
  })),
});

test("a socket whose key was taken back ends, when its answer is whole; others stay", async () => {
  const slow = await engine(() => ({ kind: "good", tokens: 20, gapMs: 10 }));
  const a = await site(new MemoryGrid(clock), "a", [slow], { auth: auth("old", "kept") });
  await ownReady(a);
  const open = (tenant: string, path = "/v1/responses") =>
    SocketClient.open(`${a.pop.url}${path}`, { authorization: `Bearer key-${tenant}` });
  const [idle, busy, kept] = await Promise.all([open("old"), open("old"), open("kept")]);
  const realtime = await open("old", "/v1/realtime?model=m");
  const create = { type: "response.create", model: "m", store: false, input: "Hello" };
  busy.send(create);
  await busy.type("response.output_text.delta");

  const endpoints = [{ id: "a-0", url: slow.base, engine: "vllm" }];
  const pop = { id: "a", tier: "edge", region: "here" };
  const next = parseConfig({ pop, listen: { port: 0 }, endpoints, auth: auth("kept", "new") });
  if (!next.ok) throw new Error(JSON.stringify(next.problems));
  a.pop.reload(next.config);

  expect((await idle.end()).code).toBe(1008);
  expect((await realtime.end()).code).toBe(1008);
  busy.send(create);
  expect((await busy.type("error")).error).toMatchObject({ code: "invalid_api_key" });
  await busy.type("response.completed");
  expect((await busy.end()).code).toBe(1008);
  kept.send(create);
  await kept.type("response.completed");
  expect(kept.closed).toBeUndefined();
  kept.socket.terminate();
});
