import { isDeepStrictEqual } from "node:util";
import { expect } from "vitest";

/** `toStrictEqual` for what is compared a hundred thousand times: it costs only where it fails. */
export function same(actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) expect(actual).toStrictEqual(expected);
}
