/**
 * One answer on a socket, as an exchange: everything behind the door serves it like a request over
 * HTTP. What the relay writes as events of a stream goes to the sink one by one, an answer that is
 * an error as a refusal.
 */
import { GridError } from "../grid/errors.ts";
import type { Exchange, Headers } from "../grid/exchange.ts";
import type { Fields } from "../task/body-fields.ts";
import { EventCutter, namedEvent } from "./response-exchange.ts";
import { parsed, type ResponseTurn } from "./response-turn.ts";
import { openAiErrorBody } from "./rescue.ts";
import { fieldsOf } from "./socket-session.ts";

export interface TurnSink {
  /** False: no room, hold back until `whenRoom`. */
  event(name: string, data: string): boolean;
  whenRoom(listener: () => void): void;
  /** It came to no stream, or its stream broke. `error` in OpenAI's form. */
  refused(status: number, error: Fields): void;
  /** Exactly once, after everything else. */
  settled(): void;
}

/** Headers that belong to the handshake alone. */
const HANDSHAKE =
  /^(sec-websocket-.*|connection|upgrade|content-.*|transfer-encoding|x-request-id)$/;

/** What a turn inherits from the handshake. */
export function turnHeaders(handshake: Headers): Headers {
  const kept = Object.entries(handshake).filter(([name]) => !HANDSHAKE.test(name));
  return { ...Object.fromEntries(kept), "content-type": "application/json" };
}

export class SocketTurn implements Exchange {
  readonly method = "POST";
  readonly path = "/v1/responses";
  readonly query = "";
  readonly headers: Headers;
  headSent = false;
  closed = false;
  private readonly bytes: Uint8Array;
  private readonly turn: ResponseTurn;
  private readonly sink: TurnSink;
  private readonly cutter = new EventCutter();
  private readonly decoder = new TextDecoder();
  /** Set for an answer that is no stream. */
  private status = 0;
  private text = "";
  private room = true;
  private onLeave: (() => void) | undefined;

  constructor(headers: Headers, bytes: Uint8Array, turn: ResponseTurn, sink: TurnSink) {
    this.headers = headers;
    this.bytes = bytes;
    this.turn = turn;
    this.sink = sink;
  }

  async body(limitBytes: number): Promise<Uint8Array> {
    if (this.bytes.byteLength > limitBytes) {
      const message = `A request may have ${limitBytes} bytes. Send a shorter input.`;
      throw new GridError("payload_too_large", message);
    }
    return this.turn.prepare(this.bytes, limitBytes);
  }

  onGone(listener: () => void): void {
    this.onLeave = listener;
  }

  /** The client left, or does not want it any more: the engine is freed. */
  leave(): void {
    if (this.closed) return;
    this.closed = true;
    this.onLeave?.();
    this.sink.settled();
  }

  head(status: number, headers: Headers): void {
    this.headSent = true;
    if (!(headers["content-type"] ?? "").startsWith("text/event-stream")) this.status = status;
  }

  write(chunk: Uint8Array): boolean {
    if (this.closed) return true;
    if (this.status > 0) {
      this.text += this.decoder.decode(chunk, { stream: true });
      return true;
    }
    this.room = true;
    this.cutter.cut(chunk, (from, end) => {
      const event = namedEvent(chunk, from, end);
      if (event !== undefined) this.pass(event.name, event.data);
    });
    return this.room;
  }

  onDrain(listener: () => void): void {
    this.sink.whenRoom(listener);
  }

  end(chunk?: Uint8Array): void {
    if (this.closed) return;
    if (chunk !== undefined) this.write(chunk);
    if (this.status > 0) this.refuse();
    this.settle();
  }

  destroy(error: Error): void {
    if (this.closed) return;
    const known = error instanceof GridError ? error : new GridError("internal", error.message);
    this.sink.refused(known.status, openAiErrorBody(known).error as unknown as Fields);
    this.settle();
  }

  private pass(name: string, data: string): void {
    const changed = this.turn.event(name, data);
    if (name === "error") {
      const { code, message, param } = changed ?? {};
      const error = { type: "server_error", code, message, param };
      return this.sink.refused(502, error);
    }
    const json = changed === undefined ? data : JSON.stringify(changed);
    if (!this.sink.event(name, json)) this.room = false;
  }

  /** The relay asks for a stream always, so a plain answer is an error. */
  private refuse(): void {
    const body = parsed(this.text) ?? {};
    const status = this.status >= 400 ? this.status : 502;
    const error = fieldsOf(body.error);
    const message = error.message ?? "The endpoint did not stream its answer.";
    this.sink.refused(status, { type: "server_error", code: "bad_response", ...error, message });
  }

  private settle(): void {
    this.closed = true;
    this.sink.settled();
  }
}
