/** Google's Gemini API. */
import type { StreamDialect } from "./dialect.ts";
import { errorOf, GeminiReader, isPlainContent, readAnswer, usageOf } from "./gemini-read.ts";
import { GeminiWriter, writeAnswer } from "./gemini-write.ts";
import { GEMINI_VECTORS } from "./vectors.ts";

export const GEMINI: StreamDialect = {
  isPlainContent,
  reader: () => new GeminiReader(),
  writer: (options) => new GeminiWriter(options),
  // The event with the last reason to stop is the last event.
  terminal: undefined,
  errorOf,
  readAnswer,
  writeAnswer,
  usageOf,
  usageKey: "usageMetadata",
  vectors: GEMINI_VECTORS,
};
