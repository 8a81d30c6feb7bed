/**
 * vLLM begins a stream with 200 before it has looked at all of the request: what is wrong with the
 * request comes as an event. Its caller gets a 400 with those words, no other engine is bothered,
 * and however often it happens nobody else suffers from it.
 */
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ServerProcess, startPop } from "./pop-process.ts";

const recorded = (name: string) =>
  readFileSync(new URL(`../fixtures/engines/vllm-0.32-${name}.txt`, import.meta.url));
const REFUSED = recorded("stream-refused");
const GOOD = recorded("stream");

const servers: Server[] = [];
let pop: ServerProcess;
let asked = 0;

/** Answers as vLLM 0.32.0 did: refused when the body has a schema. */
async function engine(): Promise<string> {
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += String(chunk);
    if (request.url === "/health") return response.end();
    if (request.method === "GET") return response.writeHead(404).end();
    asked++;
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
    return response.end(body.includes("json_schema") ? REFUSED : GOOD);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

beforeAll(async () => {
  const urls = [await engine(), await engine()];
  const of = { engine: "vllm", models: ["tiny"] };
  pop = await startPop({ endpoints: urls.map((url, at) => ({ id: `e${at}`, url, ...of })) });
});

afterAll(async () => {
  await pop?.stop();
  for (const server of servers) server.closeAllConnections();
  for (const server of servers) server.close();
});

const post = (path: string, body: object) =>
  fetch(`${pop.base}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "tiny", max_tokens: 5, stream: true, ...body }),
  });
const messages = [{ role: "user", content: "Hi" }];
const schema = { name: "x", schema: { type: "nonsense" } };
const response_format = { type: "json_schema", json_schema: schema };

test("a refusal in a stream is the caller's 400, however often, and nobody's failure", async () => {
  for (let time = 1; time <= 8; time++) {
    const refused = await post("/v1/chat/completions", { messages, response_format });
    expect(refused.status).toBe(400);
    expect(refused.headers.get("content-type")).toMatch(/json/);
    expect((await refused.json()).error).toMatchObject({
      message: "Grammar error: Invalid type: nonsense",
      type: "invalid_request_error",
    });
    expect(asked).toBe(time);
  }
  const state = await pop.json<{ endpoints: { failures: number }[] }>("/grid/state");
  expect(state.endpoints.map(({ failures }) => failures)).toEqual([0, 0]);
  const well = await post("/v1/chat/completions", { messages });
  expect(well.status).toBe(200);
  expect(await well.text()).toContain("[DONE]");
});

test("at another door it is said in that door's words", async () => {
  const output_config = { format: { type: "json_schema", schema: { type: "object" } } };
  const refused = await post("/v1/messages", { messages, output_config });
  expect(refused.status).toBe(400);
  expect(await refused.json()).toMatchObject({
    type: "error",
    error: { type: "invalid_request_error", message: "Grammar error: Invalid type: nonsense" },
  });
});
