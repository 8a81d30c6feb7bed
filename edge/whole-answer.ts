/**
 * The head of an answer that came whole, in one piece, read without llhttp: most answers that are
 * no streams come so, and through WebAssembly each line of a head is two calls and more. Only the
 * plainest heads are read here; what is written in any other way is left to llhttp, so that what
 * is accepted, and as what, is what llhttp says.
 */
import type { Headers } from "../src/grid/exchange.ts";

export interface WholeAnswer {
  headers: Headers;
  /** Where its body begins. */
  bodyAt: number;
}

/** A longer head is left to llhttp, bytes. */
const HEAD_MAX = 1_024;
const STATUS_LINE = /^HTTP\/1\.1 200 [\x20-\x7e]*$/;
/** One blank behind the colon, none at the end. */
const LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)$/;
const LENGTH = /^\d{1,9}$/;
/** They say of the connection or of the body's form what a plain answer does not. */
const OTHER_FORM = /^(transfer-encoding|upgrade|trailer|proxy-connection)$/;
const KEEPS = /^keep-alive$/i;

/**
 * Undefined: it is not whole, is followed by something, or is not of the plainest kind: 200, of a
 * stated length, on a connection that stays.
 */
export function wholeAnswer(bytes: Buffer): WholeAnswer | undefined {
  const text = bytes.toString("latin1", 0, HEAD_MAX);
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  let at = text.indexOf("\r\n");
  if (!STATUS_LINE.test(text.slice(0, at))) return undefined;
  const headers: Headers = {};
  while (at < end) {
    const next = text.indexOf("\r\n", at + 2);
    const line = LINE.exec(text.slice(at + 2, next));
    if (line === null) return undefined;
    const name = (line[1] as string).toLowerCase();
    if (OTHER_FORM.test(name) || Object.hasOwn(headers, name)) return undefined;
    headers[name] = line[2] as string;
    at = next;
  }
  const { connection, "content-length": length } = headers;
  if (connection !== undefined && !KEEPS.test(connection)) return undefined;
  if (length === undefined || !LENGTH.test(length)) return undefined;
  const bodyAt = end + 4;
  return bodyAt + Number(length) === bytes.byteLength ? { headers, bodyAt } : undefined;
}
