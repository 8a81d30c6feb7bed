/**
 * The engine of the load bench: as little work as possible per byte, so that what stands in front
 * of it dominates. Raw sockets and bytes built once; its own process. What a request wants stands
 * in the body's `user` field (`id=17:chunks=20:gap=5`), because every gateway passes that one
 * through while headers and query strings get lost. `GET /bench/closes` hands out when callers
 * left, on the machine's monotonic clock, which all processes of one machine share.
 */
import { createServer, type Socket } from "node:net";
import { monotonicMs } from "./clock.ts";

const MOST_CLOSES = 20_000;
const MOST_CHUNKS = 100_000;
const MOST_HEAD_BYTES = 64 * 1024;

const jsonAnswer = (body: string, status = "200 OK"): Buffer =>
  Buffer.from(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );

const chunkOf = (payload: string): Buffer => {
  const event = `data: ${payload}\n\n`;
  return Buffer.from(`${Buffer.byteLength(event).toString(16)}\r\n${event}\r\n`);
};

const frame = (delta: string, finish: string): string =>
  `{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench",` +
  `"choices":[{"index":0,"delta":${delta},"finish_reason":${finish}}]}`;

const PLAIN = jsonAnswer(
  `{"id":"chatcmpl-bench","object":"chat.completion","created":1700000000,"model":"bench",` +
    `"choices":[{"index":0,"message":{"role":"assistant","content":"A small answer."},` +
    `"finish_reason":"stop"}],` +
    `"usage":{"prompt_tokens":40,"completion_tokens":4,"total_tokens":44}}`,
);
const MODELS = jsonAnswer(
  `{"object":"list","data":[{"id":"bench","object":"model","created":1700000000,` +
    `"owned_by":"bench","max_model_len":131072}]}`,
);
const HEALTHY = jsonAnswer("{}");
const METRICS = jsonAnswer(
  `vllm:num_requests_running{model_name="bench"} 0\n` +
    `vllm:num_requests_waiting{model_name="bench"} 0\n` +
    `vllm:kv_cache_usage_perc{model_name="bench"} 0\n`,
);
const NO_LENGTH = jsonAnswer(`{"error":"send a content-length"}`, "411 Length Required");
const UNKNOWN = jsonAnswer(`{"error":"unknown path"}`, "404 Not Found");

const STREAM_HEAD = Buffer.concat([
  Buffer.from(
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n" +
      "transfer-encoding: chunked\r\n\r\n",
  ),
  chunkOf(frame(`{"role":"assistant","content":""}`, "null")),
]);
const TOKEN = chunkOf(frame(`{"content":"tok "}`, "null"));
const LAST = Buffer.concat([
  chunkOf(frame("{}", `"stop"`)),
  chunkOf("[DONE]"),
  Buffer.from("0\r\n\r\n"),
]);

interface Wish {
  id: string;
  chunks: number;
  gapMs: number;
}

const closes: { id: string; atMs: number }[] = [];
let served = 0;

function wishOf(user: string): Wish {
  const fields = new Map(user.split(":").map((pair) => pair.split("=") as [string, string]));
  return {
    id: fields.get("id") ?? "",
    chunks: Math.min(Number(fields.get("chunks") ?? 1) || 1, MOST_CHUNKS),
    gapMs: Number(fields.get("gap") ?? 0) || 0,
  };
}

/** One caller's connection: requests in, one at a time, answers out. */
class Connection {
  readonly #socket: Socket;
  #pending: Buffer | undefined;
  #streaming: Wish | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (bytes: Buffer) => this.#onData(bytes));
    // A reset is how a caller leaves: `close` follows and is what counts.
    socket.on("error", () => {});
    socket.on("end", () => socket.destroy());
    socket.on("close", () => this.#onClose());
  }

  #onData(bytes: Buffer): void {
    const buffer = this.#pending === undefined ? bytes : Buffer.concat([this.#pending, bytes]);
    this.#pending = undefined;
    const headEnd = buffer.indexOf("\r\n\r\n");
    if (headEnd < 0) {
      if (buffer.length > MOST_HEAD_BYTES) this.#socket.destroy();
      else this.#pending = buffer;
      return;
    }
    const head = buffer.toString("latin1", 0, headEnd);
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (length === undefined && head.startsWith("POST")) {
      this.#socket.end(NO_LENGTH);
      return;
    }
    const bodyEnd = headEnd + 4 + Number(length ?? 0);
    if (buffer.length < bodyEnd) {
      this.#pending = buffer;
      return;
    }
    this.#answer(head, buffer.subarray(headEnd + 4, bodyEnd));
  }

  #answer(head: string, body: Buffer): void {
    if (head.startsWith("POST ")) {
      served++;
      const asked = JSON.parse(body.toString()) as { stream?: boolean; user?: string };
      if (asked.stream === true) this.#stream(wishOf(asked.user ?? ""));
      else this.#socket.write(PLAIN);
      return;
    }
    const path = head.slice(4, head.indexOf(" ", 4));
    if (path === "/bench/closes") {
      this.#socket.write(jsonAnswer(JSON.stringify({ served, closes: closes.splice(0) })));
    } else if (path === "/v1/models") this.#socket.write(MODELS);
    else if (path === "/metrics") this.#socket.write(METRICS);
    else this.#socket.write(path === "/health" ? HEALTHY : UNKNOWN);
  }

  /** The first token leaves with the head: what is measured is the proxy, not the engine. */
  #stream(wish: Wish): void {
    this.#streaming = wish;
    this.#socket.write(Buffer.concat([STREAM_HEAD, TOKEN]));
    let left = wish.chunks - 1;
    const step = (): void => {
      if (left-- > 0) {
        this.#socket.write(TOKEN);
        return;
      }
      clearInterval(this.#timer);
      this.#streaming = undefined;
      this.#socket.write(LAST);
    };
    if (wish.gapMs > 0) this.#timer = setInterval(step, wish.gapMs);
    else while (this.#streaming !== undefined) step();
  }

  #onClose(): void {
    clearInterval(this.#timer);
    if (this.#streaming === undefined || closes.length >= MOST_CLOSES) return;
    closes.push({ id: this.#streaming.id, atMs: monotonicMs() });
  }
}

const server = createServer((socket) => void new Connection(socket));
server.listen(Number(process.argv[2] ?? 0), "127.0.0.1", 4096, () => {
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  console.log(`listening on http://127.0.0.1:${port}`);
});
process.on("SIGTERM", () => process.exit(0));
// The bench owns this process: if it dies, so do we.
process.on("disconnect", () => process.exit(0));
