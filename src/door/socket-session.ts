/**
 * What the sockets of all dialects do: one message after another within its bound, errors in the
 * dialect's own form, back-pressure that reaches the lane it belongs to, and an end by idleness, by
 * age, by a drain or by a key that was taken back, never in the middle of an answer.
 */
import { GridError } from "../grid/errors.ts";
import type { Headers } from "../grid/exchange.ts";
import { type DoorSocket, SOCKET_CLOSE, type SocketListener } from "../grid/socket.ts";
import type { Millis } from "../grid/units.ts";
import type { Caller } from "../proxy.ts";
import { type Fields, isFields } from "../task/body-fields.ts";
import { parsed } from "./response-turn.ts";
import {
  drainingError,
  type LiveSocket,
  type SocketDoor,
  type SocketLimits,
  type Sockets,
} from "./sockets.ts";

/** Why a socket takes nothing new. */
interface Leaving {
  error: GridError;
  code: number;
  reason: string;
}

export abstract class SocketSession implements SocketListener, LiveSocket {
  abstract readonly door: SocketDoor;
  readonly id: string;
  caller: Caller;
  readonly credentials: Headers;
  /** The client reads too slowly: what is to be sent waits in the outboxes. */
  blocked = false;
  readonly waiting = new Set<Outbox>();
  protected readonly sockets: Sockets;
  protected readonly socket: DoorSocket;
  private readonly openedMs: Millis;
  private activeMs: Millis;
  private leaving: Leaving | undefined;

  constructor(sockets: Sockets, socket: DoorSocket, caller: Caller, credentials: Headers) {
    this.sockets = sockets;
    this.socket = socket;
    this.caller = caller;
    this.credentials = credentials;
    this.id = sockets.nextId();
    this.openedMs = sockets.clock();
    this.activeMs = this.openedMs;
  }

  /** Something runs or waits to. */
  protected abstract get busy(): boolean;
  protected abstract message(event: Fields): void;
  /** The error in the dialect's form. */
  protected abstract tell(error: GridError, event: Fields | undefined): void;
  /** The socket is gone: whatever runs on it ends. */
  protected abstract gone(): void;

  protected get limits(): SocketLimits {
    return this.sockets.limits;
  }

  onText(text: string): void {
    this.activeMs = this.sockets.clock();
    const { frameBytes } = this.limits;
    let event: Fields | undefined;
    try {
      if (text.length > frameBytes) throw tooLong(frameBytes);
      event = eventOf(text);
      if (this.leaving !== undefined) throw this.leaving.error;
      this.message(event);
    } catch (cause) {
      this.tell(asGridError(cause), event);
    }
  }

  onBinary(): void {
    this.activeMs = this.sockets.clock();
    const message = "Frames must be text: send each event as JSON in a text frame.";
    this.tell(new GridError("invalid_request", message), undefined);
  }

  onDrain(): void {
    this.blocked = false;
    for (const box of [...this.waiting]) {
      if (this.blocked) return;
      box.flush();
    }
  }

  onClose(): void {
    this.sockets.remove(this);
    this.waiting.clear();
    this.gone();
  }

  /** False: hold back, the client reads too slowly. */
  send(frame: string): boolean {
    if (!this.socket.send(frame)) this.blocked = true;
    return !this.blocked;
  }

  tick(nowMs: Millis): void {
    const { lifeMs, idleMs } = this.limits;
    if (this.busy) this.activeMs = nowMs;
    if (this.leaving === undefined && nowMs - this.openedMs >= lifeMs) this.expire(lifeMs);
    if (this.leaving === undefined && nowMs - this.activeMs >= idleMs) {
      this.socket.close(SOCKET_CLOSE.normal, `nothing was asked for ${Math.round(idleMs / 1e3)} s`);
    }
    this.leaveWhenDone();
  }

  drain(): void {
    const reason = "the PoP drains: connect again";
    this.leaving ??= { error: drainingError(), code: SOCKET_CLOSE.restart, reason };
    this.leaveWhenDone();
  }

  expel(error: GridError): void {
    const reason = "the key of this socket is known no more";
    this.leaving ??= { error, code: SOCKET_CLOSE.policy, reason };
    this.leaveWhenDone();
  }

  /** To be called when something that ran has ended. */
  protected leaveWhenDone(): void {
    if (this.leaving === undefined || this.busy || this.waiting.size > 0) return;
    this.socket.close(this.leaving.code, this.leaving.reason);
  }

  private expire(lifeMs: Millis): void {
    const minutes = Math.round(lifeMs / 60_000);
    const message = `This WebSocket has lived its ${minutes} minutes. Connect again to go on.`;
    const error = new GridError("websocket_connection_limit_reached", message);
    this.leaving = { error, code: SOCKET_CLOSE.goingAway, reason: message };
    this.tell(error, undefined);
  }
}

/** Frames of one lane: held here while the client has no room, so that no other lane's wait. */
export class Outbox {
  private readonly session: SocketSession;
  private readonly held: string[] = [];
  private onRoom: (() => void) | undefined;

  constructor(session: SocketSession) {
    this.session = session;
  }

  /** False: no more until `whenRoom` says so. */
  push(frame: string): boolean {
    if (!this.session.blocked && this.held.length === 0)
      return this.session.send(frame) || this.wait();
    this.held.push(frame);
    return this.wait();
  }

  whenRoom(listener: () => void): void {
    this.onRoom = listener;
  }

  flush(): void {
    while (this.held.length > 0 && !this.session.blocked)
      this.session.send(this.held.shift() as string);
    if (this.held.length > 0 || this.session.blocked) return;
    this.session.waiting.delete(this);
    this.onRoom?.();
  }

  private wait(): false {
    this.session.waiting.add(this);
    return false;
  }
}

/** @throws GridError invalid_json, invalid_request */
function eventOf(text: string): Fields {
  const event = parsed(text);
  if (event === undefined) {
    throw new GridError("invalid_json", "The frame is no JSON object. Send one event per frame.");
  }
  if (typeof event.type === "string") return event;
  const message = "'type' must be a string that names the event.";
  throw new GridError("invalid_request", message, { param: "type" });
}

export function unknownEvent(event: Fields, known: readonly string[]): GridError {
  const type = String(event.type).slice(0, 64);
  const message = `Unknown event type '${type}'. This socket takes ${known.join(", ")}.`;
  return new GridError("invalid_request", message, { param: "type" });
}

function tooLong(frameBytes: number): GridError {
  const message = `A frame may have ${frameBytes} bytes. Send a shorter one.`;
  return new GridError("payload_too_large", message);
}

export function asGridError(cause: unknown): GridError {
  if (cause instanceof GridError) return cause;
  return new GridError("internal", "The proxy failed on this event.", { cause });
}

/** An optional object in an event. */
export function fieldsOf(value: unknown): Fields {
  return isFields(value) ? value : {};
}
