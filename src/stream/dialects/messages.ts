/** Anthropic Messages. */
import { codes } from "../bytes.ts";
import type { StreamDialect } from "./dialect.ts";
import { errorOf, isPlainContent, MessagesReader, readAnswer, usageOf } from "./messages-read.ts";
import { MessagesWriter, writeAnswer } from "./messages-write.ts";

export const MESSAGES: StreamDialect = {
  isPlainContent,
  reader: () => new MessagesReader(),
  writer: (options) => new MessagesWriter(options),
  terminal: codes('event: message_stop\ndata: {"type":"message_stop"}\n\n'),
  errorOf,
  readAnswer,
  writeAnswer,
  usageOf,
  usageKey: "usage",
};
