/**
 * An engine that tells when it wrote each token: the content of every chunk is the machine's
 * monotonic clock. `user` of a request says how many and how far apart ("chunks=20:gap=250").
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { monotonicMs } from "./load/clock.ts";

const MOST_CHUNKS = 10_000;
const HEAD = { id: "chatcmpl-clock", object: "chat.completion.chunk", created: 1, model: "clock" };

const frame = (delta: object, finish: string | null): string =>
  `data: ${JSON.stringify({ ...HEAD, choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;

/** Around the clock of a token: made once, so that the engine is no part of what is measured. */
const [BEFORE, BEHIND] = frame({ content: "CLOCK " }, null).split("CLOCK");

function stream(answer: ServerResponse, user: string): void {
  const wished = new Map(user.split(":").map((pair) => pair.split("=") as [string, string]));
  const chunks = Math.min(Number(wished.get("chunks")) || 1, MOST_CHUNKS);
  const gapMs = Number(wished.get("gap")) || 0;
  let sent = 0;
  answer.writeHead(200, { "content-type": "text/event-stream" });
  // Streams that begin together would tick together: each has a phase of its own.
  let timer = setTimeout(next, Math.random() * gapMs);
  answer.on("close", () => clearTimeout(timer));
  function next(): void {
    if (sent++ < chunks) {
      answer.write(`${BEFORE}${monotonicMs()}${BEHIND}`);
      timer = setTimeout(next, gapMs);
    } else answer.end(`${frame({}, "stop")}data: [DONE]\n\n`);
  }
}

async function infer(request: IncomingMessage, answer: ServerResponse): Promise<void> {
  let text = "";
  for await (const part of request) text += String(part);
  const body = JSON.parse(text) as { user?: string; stream?: boolean };
  if (body.stream === true) return stream(answer, body.user ?? "");
  answer.writeHead(400, { "content-type": "application/json" }).end("{}");
}

const server = createServer((request, answer) => {
  if (request.method === "POST") return void infer(request, answer);
  answer.setHeader("content-type", "application/json");
  if (request.url !== "/v1/models") return answer.writeHead(200).end("{}");
  return answer.end(JSON.stringify({ object: "list", data: [{ id: "clock", object: "model" }] }));
});

if (process.env.GRIDPOINT_ENDS_WITH_PARENT !== undefined) {
  process.on("disconnect", () => process.exit(0));
}
server.listen(0, "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
