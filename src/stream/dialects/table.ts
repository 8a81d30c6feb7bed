/** The dialects that streams are read and written in. */
import type { Dialect } from "../../grid/dialect.ts";
import { CHAT } from "./chat.ts";
import type { StreamDialect } from "./dialect.ts";
import { GEMINI } from "./gemini.ts";
import { MESSAGES } from "./messages.ts";
import { RESPONSES } from "./responses.ts";

export const STREAM_DIALECTS: Readonly<Record<Dialect, StreamDialect>> = {
  chat: CHAT,
  messages: MESSAGES,
  gemini: GEMINI,
  responses: RESPONSES,
};
