/**
 * One connection to an endpoint that speaks HTTP/1.1 itself, on whatever sockets the runtime has:
 * one call at a time, its request out with the turn (turn.ts), its answer through llhttp.
 */
import type { Headers } from "../src/grid/exchange.ts";
import { ResponseParser, type ResponseSink } from "./response-parser.ts";
import type { TcpHandler, TcpSocket } from "./tcp.ts";
import { CodedError } from "./transport-errors.ts";
import { type Corked, sendWithTurn } from "./turn.ts";

/** The call that a connection carries. */
export interface Carried extends Omit<ResponseSink, "onBegin" | "onComplete"> {
  /** Puts the request on the wire. */
  write(socket: TcpSocket): void;
  /** Something of the answer came. */
  onByte(): void;
  onComplete(): void;
  /** @param started it had a connection */
  onFailure(error: Error, started: boolean): void;
}

/** The lane that the connection belongs to. */
interface Owner {
  give(connection: TcpConnection): void;
  drop(connection: TcpConnection): void;
  lose(connection: TcpConnection): void;
}

/** A server that says for how long it keeps a connection closes it no sooner than this, ms. */
const EARLY_MS = 1_000;

export class TcpConnection implements TcpHandler, ResponseSink, Corked {
  /** When it has been idle for too long, on `performance.now`'s clock. */
  idleUntil = 0;
  /** For how long the server keeps it, by its own word, ms. */
  idleMsMax = Number.POSITIVE_INFINITY;
  /** It has carried a call before. */
  reused = false;
  private readonly owner: Owner;
  private readonly parser = new ResponseParser(this);
  private socket!: TcpSocket;
  private connecting: ReturnType<typeof setTimeout> | undefined;
  private call: Carried | undefined;
  private isOpen = false;
  private ended = false;
  private parsing = false;
  private held = false;
  private sent = false;

  constructor(owner: Owner) {
    this.owner = owner;
  }

  /** @param connecting ends the wait for `onOpen` */
  open(socket: TcpSocket, connecting: ReturnType<typeof setTimeout>): void {
    this.socket = socket;
    this.connecting = connecting;
  }

  carry(call: Carried): void {
    this.call = call;
    this.sent = false;
    if (this.isOpen) sendWithTurn(this);
  }

  uncork(): void {
    if (this.call === undefined || this.ended) return;
    this.sent = true;
    this.call.write(this.socket);
  }

  hold(paused: boolean): void {
    if (this.held === paused) return;
    this.held = paused;
    if (paused) this.socket.pause();
    else this.socket.resume();
  }

  /** Closes it, and fails the call that still runs on it. */
  end(error: Error = new CodedError("UND_ERR_DESTROYED", "the connection was closed")): void {
    if (this.ended) return;
    this.ended = true;
    clearTimeout(this.connecting);
    this.socket.close();
    if (!this.parsing) this.parser.free();
    this.call?.onFailure(error, this.isOpen);
    this.call = undefined;
  }

  fail(error: Error): void {
    this.end(error);
    this.owner.lose(this);
  }

  onOpen(): void {
    clearTimeout(this.connecting);
    this.isOpen = true;
    this.uncork();
  }

  onData(bytes: Buffer): void {
    if (this.sent) this.call?.onByte();
    const failure = this.parse(bytes);
    if (failure !== undefined) this.fail(failure);
  }

  onEnd(): void {
    this.parse();
    this.onClose();
  }

  onClose(error?: Error): void {
    this.fail(error ?? new CodedError("UND_ERR_SOCKET", "the other side closed"));
  }

  onBegin(): boolean {
    return this.call !== undefined && this.sent;
  }

  onHead(status: number, headers: Headers): void {
    const keep = headers["keep-alive"];
    if (keep !== undefined) {
      const [, seconds] = /timeout=\s*(\d{1,9})/.exec(keep) ?? [];
      if (seconds !== undefined) this.idleMsMax = Number(seconds) * 1_000 - EARLY_MS;
    }
    this.call?.onHead(status, headers);
  }

  onBody(chunk: Uint8Array): void {
    this.call?.onBody(chunk);
  }

  onComplete(reusable: boolean): void {
    const call = this.call as Carried;
    this.call = undefined;
    this.reused = true;
    this.hold(false);
    if (reusable && this.socket.drained && this.idleMsMax > 0) this.owner.give(this);
    else this.owner.drop(this);
    call.onComplete();
  }

  /** Parses what came, or the end of it. What that sets off must not free the parser under it. */
  private parse(bytes?: Buffer): Error | undefined {
    this.parsing = true;
    const failure = bytes === undefined ? this.parser.finish() : this.parser.execute(bytes);
    this.parsing = false;
    if (this.ended) this.parser.free();
    return failure;
  }
}
