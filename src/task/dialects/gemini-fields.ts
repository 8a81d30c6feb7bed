/**
 * Reading protobuf's JSON: a field may be written in camelCase, as the vendor's SDKs do, or in
 * snake_case, as its documentation's curl examples do.
 */
import { type Fields, invalid, textIn } from "../body-fields.ts";

/** The field under its camelCase name or its snake_case one. */
export function named(fields: Fields, name: string): unknown {
  const value = fields[name];
  if (value !== undefined) return value;
  return fields[name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)];
}

const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/;

/** Base64 in either alphabet, as protobuf takes it; given back in the one that all take. */
export function base64In(value: unknown, param: string): string {
  const text = textIn(value, param);
  if (!BASE64.test(text)) throw invalid(param, "is not base64");
  return text.replace(/-/g, "+").replace(/_/g, "/");
}

/** The runtime's own walk of a value that is nested too deeply ends in a RangeError. */
export function jsonIn(value: unknown, param: string): string {
  try {
    return JSON.stringify(value);
  } catch {
    throw invalid(param, "is nested too deeply");
  }
}
