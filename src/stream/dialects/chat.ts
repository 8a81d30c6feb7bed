/** OpenAI Chat Completions, and Completions, which stream in the same frames. */
import { codes } from "../bytes.ts";
import { usageOf } from "../usage.ts";
import { ChatReader, errorOf, isPlainContent, plainContentEnd, readAnswer } from "./chat-read.ts";
import { ChatWriter, writeAnswer } from "./chat-write.ts";
import type { StreamDialect } from "./dialect.ts";
import { CHAT_VECTORS } from "./vectors.ts";

export const CHAT: StreamDialect = {
  isPlainContent,
  plainContentEnd,
  reader: () => new ChatReader(),
  writer: (options) => new ChatWriter(options),
  terminal: codes("data: [DONE]\n\n"),
  errorOf,
  readAnswer,
  writeAnswer,
  usageOf,
  usageKey: "usage",
  vectors: CHAT_VECTORS,
};
