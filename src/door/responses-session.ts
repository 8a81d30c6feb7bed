/**
 * A WebSocket of the Responses API. Its lanes (`stream_id`) are in order within and run side by
 * side; every turn is served like a request over HTTP, pinned to the endpoint that has the socket's
 * KV cache. Responses that are not stored live in the memory of the socket and end with it.
 */
import { GridError } from "../grid/errors.ts";
import type { Headers } from "../grid/exchange.ts";
import type { DoorSocket } from "../grid/socket.ts";
import type { Caller } from "../proxy.ts";
import { booleanField, type Fields, invalid, stringField } from "../task/body-fields.ts";
import type { House } from "./app.ts";
import { itemsOf, parsed, ResponseTurn } from "./response-turn.ts";
import { openAiErrorBody } from "./rescue.ts";
import { fieldsOf, Outbox, SocketSession, unknownEvent } from "./socket-session.ts";
import { SocketTurn, turnHeaders, type TurnSink } from "./socket-turn.ts";
import { type Steer, Steering } from "./steering.ts";

const KNOWN = ["response.create", "response.steer"];
const STREAM_ID_MAX = 256;
/** Enough for every vendor (16 is OpenAI's least), and next to nothing of an engine's time. */
const WARM_TOKENS = 16;
/** Events that hold the response as it begins or as it ended. */
const HOLDERS = new Set([
  "response.created",
  "response.completed",
  "response.incomplete",
  "response.failed",
]);
const encoder = new TextEncoder();

/** One `response.create` that waits or runs. */
interface Work {
  body: Fields;
  /** Prepare only: the prompt is computed, nothing is said. */
  warm: boolean;
  /** What steered the response before it is its input. */
  steers: readonly Steer[];
}

interface Lane {
  id: string | undefined;
  box: Outbox;
  queue: Work[];
  turn: SocketTurn | undefined;
}

export class ResponsesSession extends SocketSession {
  readonly door = "responses";
  private readonly house: House;
  private readonly headers: Headers;
  private readonly lanes = new Map<string, Lane>();
  private readonly steering: Steering;
  /** Ids held in the socket's own memory, oldest first. */
  private readonly held: string[] = [];

  constructor(house: House, socket: DoorSocket, caller: Caller, handshake: Headers) {
    super(house.sockets, socket, caller, handshake);
    this.house = house;
    this.headers = turnHeaders(handshake);
    this.steering = new Steering((lane, event) => this.emit(lane, event));
  }

  protected get busy(): boolean {
    return this.lanes.size > 0;
  }

  protected message(event: Fields): void {
    switch (event.type) {
      case "response.create":
        return this.create(event);
      case "response.steer":
        return this.steering.steer(event, (id) => this.holds(id));
      default:
        throw unknownEvent(event, KNOWN);
    }
  }

  protected tell(error: GridError, event: Fields | undefined): void {
    const lane = typeof event?.stream_id === "string" ? event.stream_id : undefined;
    const { error: told } = openAiErrorBody(error);
    this.send(framed({ type: "error", status: error.status, error: told }, lane));
  }

  protected gone(): void {
    for (const lane of [...this.lanes.values()]) {
      lane.queue.length = 0;
      lane.turn?.leave();
    }
    for (const id of this.held) this.house.responses.drop(this.id, id);
  }

  private holds(id: string): boolean {
    const { responses } = this.house;
    const { tenant } = this.caller;
    return (responses.get(this.id, id) ?? responses.get(tenant, id)) !== undefined;
  }

  private create(event: Fields): void {
    const { type: _type, stream_id, generate, ...body } = event;
    for (const name of ["stream", "background"]) {
      if (name in body) throw invalid(name, "is not for this socket: every answer is streamed");
    }
    const laneId = stringField(stream_id, "stream_id", STREAM_ID_MAX);
    const wanted = generate === undefined || booleanField(generate, "generate");
    const lane = this.lane(laneId);
    const { laneQueue } = this.limits;
    if (lane.queue.length >= laneQueue) {
      const message = `This lane has ${laneQueue} requests waiting. Wait for an answer first.`;
      throw new GridError("saturated", message, { param: "stream_id" });
    }
    const steers = this.steering.claim(body.previous_response_id);
    const input = [...steers.flatMap(({ items }) => items), ...itemsOf(body.input)];
    if (steers.length > 0) body.input = input;
    lane.queue.push({ body, warm: !wanted, steers });
    if (lane.turn === undefined) this.next(lane);
  }

  /** @throws GridError saturated when it would be one lane too many */
  private lane(id: string | undefined): Lane {
    const known = this.lanes.get(id ?? "");
    if (known !== undefined) return known;
    const { lanes } = this.limits;
    if (this.lanes.size >= lanes) {
      const message = `A socket may have ${lanes} lanes at work. Wait for an answer first.`;
      throw new GridError("saturated", message, { param: "stream_id" });
    }
    const lane: Lane = { id, box: new Outbox(this), queue: [], turn: undefined };
    this.lanes.set(id ?? "", lane);
    return lane;
  }

  private next(lane: Lane): void {
    const work = lane.queue.shift();
    if (work === undefined) {
      this.lanes.delete(lane.id ?? "");
      return this.leaveWhenDone();
    }
    const { house, caller } = this;
    const scopes = { tenant: caller.tenant, connection: this.id, abroad: house.abroad };
    const turn = new ResponseTurn(house.responses, scopes);
    const sink = new LaneSink(work, turn, {
      send: (data) => lane.box.push(withLane(data, lane.id)),
      whenRoom: (listener) => lane.box.whenRoom(listener),
      begun: (id) => this.steering.begun(id, lane.id),
      ended: (response) => this.ended(lane, work, turn, response),
    });
    const exchange = new SocketTurn(this.headersOf(work.body), bytesOf(work), turn, sink);
    lane.turn = exchange;
    void house.serve(exchange, "responses", caller);
  }

  /** The socket is a session where the caller names no other. */
  private headersOf(body: Fields): Headers {
    const { headers } = this;
    const named = headers["x-grid-session"] ?? body.prompt_cache_key;
    return { ...headers, ...(named === undefined ? { "x-grid-session": this.id } : {}) };
  }

  private ended(lane: Lane, work: Work, turn: ResponseTurn, response: Fields | undefined): void {
    if (response === undefined || turn.status === "failed") {
      turn.failed();
      this.steering.refused(work.steers, lane.id);
    } else {
      this.remember(String(response.id), work.body.store);
      const steers = this.steering.ended(response, lane.id);
      if (steers.length > 0) lane.queue.unshift(successorOf(work, response, steers));
    }
    lane.turn = undefined;
    this.next(lane);
  }

  /** The oldest of too many is forgotten. */
  private remember(id: string, store: unknown): void {
    if (store !== false) return;
    this.held.push(id);
    if (this.held.length <= this.limits.held) return;
    this.house.responses.drop(this.id, this.held.shift() as string);
  }

  private emit(lane: string | undefined, event: Fields): void {
    const box = this.lanes.get(lane ?? "")?.box;
    const frame = framed(event, lane);
    if (box === undefined) this.send(frame);
    else box.push(frame);
  }
}

function bytesOf({ body, warm }: Work): Uint8Array {
  const limit = warm ? { max_output_tokens: WARM_TOKENS } : {};
  return encoder.encode(JSON.stringify({ ...body, ...limit, stream: true }));
}

/** Goes on where the response ended, with its settings. */
function successorOf({ body }: Work, response: Fields, steers: Steer[]): Work {
  const input = steers.flatMap(({ items }) => items);
  const next = { ...body, previous_response_id: response.id, input };
  return { body: next, warm: false, steers };
}

function framed(event: Fields, lane: string | undefined): string {
  return JSON.stringify(lane === undefined ? event : { ...event, stream_id: lane });
}

/** Names the lane in an event's JSON. */
function withLane(data: string, lane: string | undefined): string {
  if (lane === undefined) return data;
  return `{"stream_id":${JSON.stringify(lane)},${data.slice(data.indexOf("{") + 1)}`;
}

interface LaneHost {
  send(data: string): boolean;
  whenRoom(listener: () => void): void;
  /** The response has an id now. */
  begun(id: string): void;
  /** Undefined: there is no response, or it broke. */
  ended(response: Fields | undefined): void;
}

/** Passes the events of a turn to its lane; of a warm-up only that it is done. */
class LaneSink implements TurnSink {
  private readonly work: Work;
  private readonly turn: ResponseTurn;
  private readonly host: LaneHost;
  private response: Fields | undefined;
  private broken = false;
  private over = false;

  constructor(work: Work, turn: ResponseTurn, host: LaneHost) {
    this.work = work;
    this.turn = turn;
    this.host = host;
  }

  event(name: string, data: string): boolean {
    if (HOLDERS.has(name)) this.response = fieldsOf(parsed(data)?.response);
    if (this.work.warm) return this.warmed(name);
    if (name === "response.created") this.host.begun(String(this.response?.id));
    return this.host.send(data);
  }

  whenRoom(listener: () => void): void {
    this.host.whenRoom(listener);
  }

  refused(status: number, error: Fields): void {
    if (this.over) return;
    this.broken = true;
    const event = { type: "error", status, error, sequence_number: this.turn.sequence };
    this.host.send(JSON.stringify(event));
  }

  settled(): void {
    if (this.over) return;
    this.over = true;
    const ended = !this.broken && this.turn.status !== undefined;
    this.host.ended(ended ? this.response : undefined);
  }

  /** The first content says that the prompt is computed: what follows is heard by nobody. */
  private warmed(name: string): boolean {
    const lifecycle = ["response.created", "response.in_progress", "response.queued"];
    if (this.over || lifecycle.includes(name)) return true;
    const done = { status: "completed", incomplete_details: null, output: [], usage: null };
    const response: Fields = { ...this.response, ...done };
    this.host.send(
      JSON.stringify({
        type: "response.created",
        sequence_number: 0,
        response: { ...response, status: "in_progress" },
      }),
    );
    this.host.send(JSON.stringify({ type: "response.completed", sequence_number: 1, response }));
    this.turn.keep(response);
    this.response = response;
    this.settled();
    return true;
  }
}
