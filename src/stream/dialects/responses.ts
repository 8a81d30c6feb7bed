/** OpenAI Responses. Its last event holds the whole answer, so nobody else can write it. */
import type { StreamDialect } from "./dialect.ts";
import { errorOf, isPlainContent, readAnswer, ResponsesReader, usageOf } from "./responses-read.ts";
import { ResponsesWriter, writeAnswer } from "./responses-write.ts";

export const RESPONSES: StreamDialect = {
  isPlainContent,
  reader: () => new ResponsesReader(),
  writer: (options) => new ResponsesWriter(options),
  terminal: undefined,
  errorOf,
  readAnswer,
  writeAnswer,
  usageOf,
  usageKey: "usage",
};
