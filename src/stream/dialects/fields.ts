/** Reading JSON that an engine wrote: nothing is trusted, nothing throws. */
import type { StreamError } from "../event.ts";
import type { Fields } from "./dialect.ts";

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function parseFields(json: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A non-empty string, else undefined. */
export function filledText(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

export function wordOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return typeof value === "number" ? String(value) : undefined;
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A count of tokens, else undefined. */
export function tokensOf(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;
}

/** `{message, type?, code?, param?}`, however incomplete. */
export function errorFrom(fields: Fields): StreamError {
  const message = wordOf(fields.message) ?? "the engine reported an error";
  const error: StreamError = { message };
  const type = wordOf(fields.type);
  const code = wordOf(fields.code);
  const param = wordOf(fields.param);
  if (type !== undefined) error.type = type;
  if (code !== undefined) error.code = code;
  if (param !== undefined) error.param = param;
  return error;
}

/** An answer's id as the dialect writes it: some clients go by the prefix. */
export function answerId(prefix: string, id: string): string {
  return prefix + id.replace(/^(chatcmpl-|cmpl-|msg_|resp_)/, "");
}
