/**
 * OpenAI Responses over WebSocket as the vendor speaks it: one JSON event per text frame,
 * `stream_id` lanes that are in order within and parallel between, responses kept in the memory
 * of the connection, `generate:false` that prepares without output.
 */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { openAiError } from "./chat.ts";
import { finished, KNOWN, readResponse, responseEvents, skeleton } from "./responses.ts";
import { type Asked, type Fields, fieldsAt, isFields, Refusal, type Scene } from "./scene.ts";
import { sleep, type VendorServer } from "./server.ts";

const FRAME_BYTES_MAX = 16 * 1024 * 1024;
const sockets = new WebSocketServer({ noServer: true, maxPayload: FRAME_BYTES_MAX });

export function upgradeResponses(
  server: VendorServer,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  const url = new URL(request.url ?? "/", server.base);
  if (url.pathname !== "/v1/responses") return refuseUpgrade(socket, "404 Not Found");
  if (request.headers.authorization !== `Bearer ${server.key}`) {
    return refuseUpgrade(socket, "401 Unauthorized");
  }
  sockets.handleUpgrade(request, socket, head, (client) => new Session(server, client));
}

function refuseUpgrade(socket: Duplex, status: string): void {
  const code = Number(status.slice(0, 3));
  const body = JSON.stringify(openAiError(new Refusal(code, status.slice(4))));
  const head = `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\nconnection: close\r\n`;
  socket.end(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

class Session {
  readonly #server: VendorServer;
  readonly #client: WebSocket;
  /** Items of the conversation up to and with each response. */
  readonly #responses = new Map<string, unknown[]>();
  /** The end of each lane. */
  readonly #lanes = new Map<string, Promise<void>>();
  #count = 0;
  #running = 0;

  constructor(server: VendorServer, client: WebSocket) {
    this.#server = server;
    this.#client = client;
    client.on("message", (bytes, binary) => this.#onFrame(String(bytes), binary));
    client.on("error", () => {});
    client.on("close", () => this.#onClose());
  }

  #onClose(): void {
    if (this.#running > 0) this.#server.leftAtMs.push(performance.now());
  }

  #onFrame(text: string, binary: boolean): void {
    let lane: string | undefined;
    try {
      if (binary) throw new Refusal(400, "Frames must be text.");
      const event = fieldsAt(parse(text), "event");
      if (typeof event.stream_id === "string") lane = event.stream_id;
      if (event.type !== "response.create") {
        const code = "unknown_event_type";
        throw new Refusal(400, `Unknown event type '${String(event.type)}'.`, { code });
      }
      const before = this.#lanes.get(lane ?? "") ?? Promise.resolve();
      this.#lanes.set(
        lane ?? "",
        before.then(() => this.#create(event, lane)),
      );
    } catch (cause) {
      this.#refuse(cause, lane);
    }
  }

  async #create(event: Fields, lane: string | undefined): Promise<void> {
    const { type: _type, stream_id: _lane, generate, ...body } = event;
    const before = body.previous_response_id;
    try {
      for (const name of ["stream", "background"]) {
        if (name in body) throw new Refusal(400, `'${name}' is not allowed here.`, { param: name });
      }
      const history = this.#historyOf(before);
      const input = typeof body.input === "string" ? [userItem(body.input)] : (body.input ?? []);
      const items = [...history, ...(input as unknown[])];
      const asked = readResponse(
        { ...pick(body), input: items, stream: true },
        this.#server.models,
      );
      const id = `resp_ws_${++this.#count}`;
      if (generate === false) this.#prepare(asked, id, lane, items);
      else await this.#generate(asked, id, lane, items, before);
    } catch (cause) {
      // A continuation that failed takes the state that it built on with it.
      if (typeof before === "string") this.#responses.delete(before);
      this.#refuse(cause, lane);
    }
  }

  #historyOf(before: unknown): unknown[] {
    if (before === undefined || before === null) return [];
    const known = this.#responses.get(String(before));
    if (known !== undefined) return known;
    const said = `Previous response with id '${String(before)}' not found.`;
    const code = "previous_response_not_found";
    throw new Refusal(400, said, { param: "previous_response_id", code });
  }

  #prepare(asked: Asked, id: string, lane: string | undefined, items: unknown[]): void {
    const response = { ...skeleton(asked.model, id), status: "completed", usage: null };
    this.#send({ type: "response.created", sequence_number: 0, response }, lane);
    this.#send({ type: "response.completed", sequence_number: 1, response }, lane);
    this.#responses.set(id, items);
  }

  async #generate(
    asked: Asked,
    id: string,
    lane: string | undefined,
    items: unknown[],
    before: unknown,
  ): Promise<void> {
    this.#server.asked.push(asked);
    const plot = this.#server.director(asked);
    if (plot.kind === "refuses") throw plot.refusal;
    const events = responseEvents(plot.scene, asked, id);
    for (const { response } of events) {
      if (isFields(response)) response.previous_response_id = before ?? null;
    }
    const upTo = plot.kind === "answers" ? events.length : Number(plot.after) || 0;
    await this.#say(events.slice(0, upTo), lane, plot.kind === "answers" ? plot.gapMs : undefined);
    if (plot.kind === "answers") return this.#keep(id, items, plot.scene, asked);
    if (plot.how === "error") throw new Refusal(503, "The model is overloaded.");
    if (plot.how !== "silent") this.#client.terminate();
  }

  async #say(events: Fields[], lane: string | undefined, gapMs: number | undefined): Promise<void> {
    this.#server.active++;
    this.#running++;
    for (const event of events) {
      if (this.#client.readyState !== this.#client.OPEN) break;
      this.#send(event, lane);
      if (gapMs !== undefined) await sleep(gapMs);
    }
    this.#running--;
    this.#server.active--;
  }

  #keep(id: string, items: unknown[], scene: Scene, asked: Asked): void {
    this.#responses.set(id, [...items, ...(finished(scene, asked, id).output as unknown[])]);
  }

  #refuse(cause: unknown, lane: string | undefined): void {
    const refusal = cause instanceof Refusal ? cause : new Refusal(500, String(cause));
    this.#server.refused.push(refusal);
    const { error } = openAiError(refusal) as { error: unknown };
    this.#send({ type: "error", status: refusal.status, error }, lane);
  }

  #send(event: Fields, lane: string | undefined): void {
    const named = lane === undefined ? event : { ...event, stream_id: lane };
    if (this.#client.readyState === this.#client.OPEN) this.#client.send(JSON.stringify(named));
  }
}

const userItem = (text: string) => ({ type: "message", role: "user", content: text });

/** Without the link to what came before, which the items now hold. */
function pick(body: Fields): Fields {
  const { previous_response_id: _before, ...rest } = body;
  for (const name of Object.keys(rest)) {
    if (!KNOWN.includes(name)) throw new Refusal(400, `Unknown parameter: '${name}'.`);
  }
  return rest;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal(400, "The frame is not JSON.");
  }
}
