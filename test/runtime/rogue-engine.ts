/**
 * An engine that misbehaves exactly as told, on raw sockets, because an HTTP library would repair
 * what must be broken here. Health, models and metrics always answer well, as those of an engine
 * do whose requests fail: the proxy must find out from the requests themselves.
 */
import { createServer, type Server, type Socket } from "node:net";

/** How a connection ends: reset, FIN in mid-body, or the chunked end mark as if all were well. */
export type Ending = "reset" | "fin" | "clean";

/** What goes wrong after the tokens does so when they were heard; without it, soon. */
interface Patient {
  heard?: Promise<unknown>;
}

export type Behaviour =
  | { kind: "good"; tokens?: number; gapMs?: number; usage?: boolean; bytesPerToken?: number }
  | { kind: "dies"; after: "request" | "head" | "role"; how: Ending }
  | ({ kind: "dies"; after: number; how: Ending } & Patient)
  | ({ kind: "half-event"; tokens: number; how: Ending } & Patient)
  | ({ kind: "error-event"; tokens: number } & Patient)
  | ({ kind: "huge-event"; tokens: number; bytes: number } & Patient)
  | { kind: "falls-silent"; tokens: number }
  | { kind: "status"; status: number; headers?: Record<string, string>; body?: string }
  | { kind: "html"; status: number }
  /** Never answers, not even with a head. */
  | { kind: "silent" }
  /** Sends comments and empty deltas, one byte at a time, and never content. */
  | { kind: "drip"; gapMs: number }
  /** The right head, then less body than it promised. */
  | { kind: "short-body" }
  | { kind: "not-json" };

export interface RogueRequest {
  path: string;
  body: { model: string; stream?: boolean; user?: string };
  /** 1 = the first request on its connection. */
  useOfConnection: number;
}

export type Script = (request: RogueRequest) => Behaviour;

const frame = (delta: object, finish: string | null): string =>
  `data: ${JSON.stringify({
    id: "chatcmpl-rogue",
    object: "chat.completion.chunk",
    created: 1_700_000_000,
    model: "rogue",
    choices: [{ index: 0, delta, finish_reason: finish }],
  })}\n\n`;

const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

const answer = (status: number, type: string, body: string, extra = ""): string =>
  `HTTP/1.1 ${status} Rogue\r\ncontent-type: ${type}\r\n${extra}` +
  `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

const STREAM_HEAD =
  "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const ROLE = chunk(frame({ role: "assistant", content: "" }, null));
const DONE = chunk("data: [DONE]\n\n");
const END = "0\r\n\r\n";

const completion = (): string =>
  JSON.stringify({
    id: "chatcmpl-rogue",
    object: "chat.completion",
    created: 1_700_000_000,
    model: "rogue",
    choices: [
      { index: 0, message: { role: "assistant", content: "word " }, finish_reason: "stop" },
    ],
    usage: { prompt_tokens: 5, completion_tokens: 1, total_tokens: 6 },
  });

/** The text of token `n`: distinct, so that a lost or doubled token shows. */
export const tokenText = (n: number): string => `w${n} `;

export class RogueEngine {
  readonly base: string;
  script: Script;
  /** Inference requests that arrived. */
  requests = 0;
  /** Inference requests being answered: the engine's busy slots. */
  active = 0;
  /** When slots were freed by a caller that left, on `performance.now()`. */
  readonly leftAtMs: number[] = [];
  /** Times that a write found the caller's side full. */
  writesHeldBack = 0;
  readonly models: string[];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, models: string[], script: Script) {
    this.#server = server;
    this.models = models;
    this.script = script;
    const address = server.address();
    this.base = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      new RogueConnection(this, socket);
    });
  }

  static start(models: string[], script: Script): Promise<RogueEngine> {
    const server = createServer({ noDelay: true });
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", () => resolve(new RogueEngine(server, models, script)));
    });
  }

  get connections(): number {
    return this.#sockets.size;
  }

  stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

class RogueConnection {
  readonly #engine: RogueEngine;
  readonly #socket: Socket;
  #pending = Buffer.alloc(0);
  #uses = 0;
  #busy = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(engine: RogueEngine, socket: Socket) {
    this.#engine = engine;
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => this.#onData(bytes));
    socket.on("error", () => {});
    socket.on("close", () => this.#onClose());
  }

  #onData(bytes: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, bytes]);
    const headEnd = this.#pending.indexOf("\r\n\r\n");
    if (headEnd < 0) return;
    const head = this.#pending.toString("latin1", 0, headEnd);
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    if (this.#pending.length < headEnd + 4 + length) return;
    const body = this.#pending.toString("utf8", headEnd + 4, headEnd + 4 + length);
    this.#pending = this.#pending.subarray(headEnd + 4 + length);
    const [method, path] = head.split(" ", 2) as [string, string];
    if (method === "GET") this.#status(path);
    else this.#infer(path, body);
  }

  #status(path: string): void {
    if (path === "/v1/models") {
      const data = this.#engine.models.map((id) => ({ id, object: "model", max_model_len: 8192 }));
      this.#send(answer(200, "application/json", JSON.stringify({ object: "list", data })));
    } else if (path === "/metrics") {
      const text = `vllm:num_requests_running 0\nvllm:num_requests_waiting 0\n`;
      this.#send(answer(200, "text/plain", `${text}vllm:kv_cache_usage_perc 0\n`));
    } else {
      this.#send(answer(path === "/health" ? 200 : 404, "application/json", "{}"));
    }
  }

  #infer(path: string, text: string): void {
    this.#uses++;
    this.#engine.requests++;
    this.#engine.active++;
    this.#busy = true;
    const body = JSON.parse(text) as RogueRequest["body"];
    this.#act(this.#engine.script({ path, body, useOfConnection: this.#uses }), body);
  }

  #act(behaviour: Behaviour, body: RogueRequest["body"]): void {
    switch (behaviour.kind) {
      case "good":
        return body.stream === true ? this.#stream(behaviour) : this.#whole(completion());
      case "dies":
        if (typeof behaviour.after === "number") return this.#breaks(behaviour.after, behaviour);
        return this.#die(behaviour.after, behaviour.how);
      case "half-event":
      case "error-event":
      case "huge-event":
        return this.#breaks(behaviour.tokens, behaviour);
      case "falls-silent":
        return this.#tokens(behaviour.tokens);
      case "status":
        return this.#refuse(behaviour.status, behaviour.headers ?? {}, behaviour.body);
      case "html":
        return this.#whole("<html><body>Bad gateway</body></html>", "text/html", behaviour.status);
      case "short-body":
        this.#send(completion().replace(/^/, shortHead()));
        return this.#end("fin");
      case "not-json":
        return this.#whole("this is no JSON");
      case "drip":
        return this.#drip(behaviour.gapMs);
      case "silent":
        return;
    }
  }

  #whole(body: string, type = "application/json", status = 200): void {
    this.#free();
    this.#send(answer(status, type, body));
  }

  #refuse(status: number, headers: Record<string, string>, body?: string): void {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const text = body ?? `{"error":{"message":"engine says ${status}","code":${status}}}`;
    this.#free();
    this.#send(answer(status, "application/json", text, lines.join("")));
  }

  #tokens(count: number): void {
    const texts = Array.from({ length: count }, (_, n) => frame({ content: tokenText(n) }, null));
    this.#send(STREAM_HEAD + ROLE + texts.map(chunk).join(""));
  }

  #stream(wish: Extract<Behaviour, { kind: "good" }>): void {
    const { tokens = 5, gapMs = 0, bytesPerToken = 0 } = wish;
    this.#send(STREAM_HEAD + ROLE);
    let sent = 0;
    const step = (): void => {
      if (this.#socket.destroyed) return;
      if (sent === tokens) return this.#finish(wish.usage === true);
      const text = tokenText(sent++).padEnd(bytesPerToken, "x");
      const room = this.#send(chunk(frame({ content: text }, null)));
      if (gapMs > 0) this.#timer = setTimeout(step, gapMs);
      else if (room) setImmediate(step);
      else {
        this.#engine.writesHeldBack++;
        this.#socket.once("drain", step);
      }
    };
    step();
  }

  #finish(usage: boolean): void {
    const counts = { prompt_tokens: 5, completion_tokens: 5, total_tokens: 10 };
    const last = JSON.stringify({ id: "chatcmpl-rogue", choices: [], usage: counts });
    this.#free();
    const finish = chunk(frame({}, "stop"));
    this.#send(`${finish}${usage ? chunk(`data: ${last}\n\n`) : ""}${DONE}${END}`);
  }

  #die(after: "request" | "head" | "role", how: Ending): void {
    if (after === "head") this.#send(STREAM_HEAD);
    else if (after === "role") this.#send(STREAM_HEAD + ROLE);
    this.#end(how);
  }

  #breaks(tokens: number, behaviour: Behaviour & Patient): void {
    this.#tokens(tokens);
    const soon = () => new Promise((resolve) => (this.#timer = setTimeout(resolve, LATER_MS)));
    void (behaviour.heard ?? soon()).then(() => this.#break(behaviour));
  }

  #break(behaviour: Behaviour): void {
    if (behaviour.kind === "half-event") {
      this.#send(chunk(frame({ content: "lost" }, null).slice(0, 40)));
    } else if (behaviour.kind === "error-event") {
      this.#send(chunk(`data: {"error":{"message":"CUDA out of memory","code":500}}\n\n`));
    } else if (behaviour.kind === "huge-event") {
      this.#send(chunk(frame({ content: "x".repeat(behaviour.bytes) }, null)) + DONE);
    }
    this.#end("how" in behaviour ? behaviour.how : "clean");
  }

  /** Ends a little later, so that what was sent before arrives as a read of its own. */
  #end(how: Ending): void {
    this.#free();
    this.#timer = setTimeout(() => {
      if (how === "reset") this.#socket.resetAndDestroy();
      else if (how === "fin") this.#socket.end();
      else this.#send(END);
    }, LATER_MS);
  }

  #drip(gapMs: number): void {
    this.#send(STREAM_HEAD);
    const bytes = Buffer.from(`${frame({ role: "assistant", content: "" }, null)}: wait\n\n`);
    let at = 0;
    this.#timer = setInterval(() => {
      this.#send(chunk(String.fromCharCode(bytes[at++ % bytes.length] as number)));
    }, gapMs);
  }

  #send(text: string): boolean {
    return this.#socket.destroyed || this.#socket.write(text);
  }

  #free(): void {
    if (!this.#busy) return;
    this.#busy = false;
    this.#engine.active--;
  }

  #onClose(): void {
    clearTimeout(this.#timer);
    if (this.#busy) this.#engine.leftAtMs.push(performance.now());
    this.#free();
  }
}

/** Some runtimes join what comes close together to one read, or drop what a reset overtakes. */
const LATER_MS = 20;

const shortHead = (): string =>
  "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n";
