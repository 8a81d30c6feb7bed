/** One call on a connection of tcp-connection.ts. */
import type { Headers, OutRequest } from "../src/grid/exchange.ts";
import { TurnCall } from "./call.ts";
import type { TcpLane } from "./lane-tcp.ts";
import type { TcpSocket } from "./tcp.ts";
import type { Carried, TcpConnection } from "./tcp-connection.ts";
import { CodedError } from "./transport-errors.ts";

/** Requests up to this many bytes are put together here and go out in one write. */
const SCRATCH = Buffer.alloc(64 * 1024);

const NOT_TOKEN = /[^!#$%&'*+\-.^_`|~0-9A-Za-z]/;
const NOT_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
const NOT_PATH = /[^\x21-\x7e\x80-\xff]/;
/** What only the connection itself may say. */
const RESERVED = /^(connection|expect|keep-alive|transfer-encoding|upgrade)$/;

/** A header as it was written last: most say the same in each request to an origin. */
interface Line {
  value: string;
  text: string;
}
export type Lines = Map<string, Line>;

/** Names remembered per origin, and characters of a value. */
const LINES_MAX = 100;
const REMEMBERED_MAX = 256;

/** @throws CodedError where it cannot be put on the wire */
function lineOf(name: string, value: string, lines: Lines): string {
  const last = lines.get(name);
  if (last?.value === value) return last.text;
  // A name that has a line was looked at.
  const isName =
    last !== undefined || (name !== "" && !NOT_TOKEN.test(name) && !RESERVED.test(name));
  if (!isName || NOT_VALUE.test(value)) {
    throw new CodedError("UND_ERR_INVALID_ARG", `invalid header ${JSON.stringify(name)}`);
  }
  const text = `${name}: ${value}\r\n`;
  if (value.length > REMEMBERED_MAX) return text;
  if (last !== undefined) {
    last.value = value;
    last.text = text;
  } else if (lines.size < LINES_MAX) lines.set(name, { value, text });
  return text;
}

/** @throws CodedError where it cannot be put on the wire */
function headOf({ method, path, headers, body }: OutRequest, { host, lines }: TcpLane): string {
  if (NOT_PATH.test(path)) throw new CodedError("UND_ERR_INVALID_ARG", "invalid request path");
  let head = `${method} ${path} HTTP/1.1\r\nconnection: keep-alive\r\n`;
  if (headers.host === undefined) head += `host: ${host}\r\n`;
  for (const name in headers) {
    if (name !== "content-length") head += lineOf(name, headers[name] as string, lines);
  }
  if (method === "POST" || body !== undefined)
    head += `content-length: ${body?.byteLength ?? 0}\r\n`;
  return `${head}\r\n`;
}

export class TcpCall extends TurnCall implements Carried {
  protected override lane: TcpLane | undefined;
  private connection: TcpConnection | undefined;
  private requestHead = "";

  /** @throws GridError endpoint_busy; CodedError */
  start(lane: TcpLane): void {
    this.requestHead = headOf(this.request, lane);
    this.lane = lane;
    this.connection = lane.take(this.request.fresh);
    this.reused = this.connection.reused;
    this.connection.carry(this);
  }

  fail(error: Error): void {
    this.onFailure(error, false);
  }

  write(socket: TcpSocket): void {
    const { requestHead, request } = this;
    const { body } = request;
    const size = requestHead.length + (body?.byteLength ?? 0);
    if (size > SCRATCH.byteLength) {
      socket.write(Buffer.from(requestHead, "latin1"));
      if (body !== undefined) socket.write(body);
      return;
    }
    SCRATCH.write(requestHead, 0, "latin1");
    if (body !== undefined) SCRATCH.set(body, requestHead.length);
    socket.write(SCRATCH, size);
  }

  onByte(): void {
    this.answers();
  }

  onHead(status: number, headers: Headers): void {
    this.head(status, headers);
  }

  onBody(chunk: Uint8Array): void {
    this.data(chunk);
  }

  onComplete(): void {
    this.last();
  }

  onFailure(error: Error, started: boolean): void {
    if (!this.over) this.broke(error, started);
  }

  protected override cut(): void {
    if (this.connection !== undefined) this.lane?.drop(this.connection);
  }

  protected override hold(paused: boolean): void {
    this.connection?.hold(paused);
  }
}
