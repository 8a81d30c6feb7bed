/** The vendors by dialect. */
import { CHAT } from "./chat.ts";
import { GEMINI } from "./gemini.ts";
import { MESSAGES } from "./messages.ts";
import { RESPONSES } from "./responses.ts";
import { upgradeResponses } from "./responses-socket.ts";
import type { Dialect } from "./scene.ts";
import type { Protocol } from "./server.ts";

export const VENDORS: Record<Dialect, Protocol> = {
  chat: CHAT,
  responses: { ...RESPONSES, upgrade: upgradeResponses },
  messages: MESSAGES,
  gemini: GEMINI,
};
