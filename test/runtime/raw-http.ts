/**
 * Bytes in, bytes out: what no HTTP client would send. One connection per request; the answer is
 * read until the server closes or the answer is complete, whichever is first.
 */
import { connect, type Socket } from "node:net";

export interface RawAnswer {
  /** 0 = the server closed without an answer. */
  status: number;
  headers: Record<string, string>;
  body: string;
  /** The server closed, by FIN or reset. */
  closed: boolean;
  /** Bytes that could be written before the answer came. */
  sent: number;
}

export interface RawOptions {
  /** Waits between two parts, in milliseconds. */
  gapMs?: number;
  withinMs?: number;
}

/** Sends the parts one after the other, unless the server answers earlier. */
export function rawRequest(
  port: number,
  parts: readonly (string | Buffer)[],
  options: RawOptions = {},
): Promise<RawAnswer> {
  const { gapMs = 0, withinMs = 5_000 } = options;
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    const received: Buffer[] = [];
    const limit = setTimeout(() => {
      const heard = Buffer.concat(received).toString("latin1").slice(0, 300);
      socket.destroy();
      reject(new Error(`no whole answer within ${withinMs} ms; heard: ${heard}`));
    }, withinMs);
    const finish = (closed: boolean): void => {
      clearTimeout(limit);
      const sent = socket.bytesWritten;
      socket.destroy();
      resolve({ ...parse(Buffer.concat(received)), closed, sent });
    };
    socket.on("error", () => {});
    socket.on("close", () => finish(true));
    socket.on("data", (bytes: Buffer) => {
      received.push(bytes);
      if (complete(Buffer.concat(received))) finish(false);
    });
    socket.once("connect", () => void feed(socket, parts, gapMs, () => received.length > 0));
  });
}

async function feed(
  socket: Socket,
  parts: readonly (string | Buffer)[],
  gapMs: number,
  answered: () => boolean,
): Promise<void> {
  for (const part of parts) {
    if (socket.destroyed || answered()) return;
    if (!socket.write(part)) {
      await new Promise<void>((resolve) => {
        socket.once("drain", resolve);
        socket.once("close", resolve);
      });
    }
    if (gapMs > 0) await new Promise((resolve) => setTimeout(resolve, gapMs));
  }
}

function parse(bytes: Buffer): Pick<RawAnswer, "status" | "headers" | "body"> {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return { status: 0, headers: {}, body: "" };
  const [first, ...lines] = bytes.toString("latin1", 0, end).split("\r\n");
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  const status = Number(first?.split(" ")[1] ?? 0);
  return { status, headers, body: bytes.toString("utf8", end + 4) };
}

function complete(bytes: Buffer): boolean {
  const { headers, body, status } = parse(bytes);
  if (status === 0) return false;
  const length = headers["content-length"];
  if (length !== undefined) return Buffer.byteLength(body) >= Number(length);
  return headers["transfer-encoding"] === "chunked" && body.endsWith("0\r\n\r\n");
}

/** A POST with a JSON body and any further header lines. */
export function post(path: string, body: string | Buffer, ...lines: string[]): (string | Buffer)[] {
  const extra = lines.map((line) => `${line}\r\n`).join("");
  const typed = lines.some((line) => /^content-type:/i.test(line));
  const type = typed ? "" : "content-type: application/json\r\n";
  const head = `POST ${path} HTTP/1.1\r\nhost: pop\r\n${type}${extra}`;
  return [`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n`, body];
}
