/** OpenAI Chat Completions, Completions and Embeddings. */
import { parseOpenAiBody } from "../openai.ts";
import { modelInBody } from "../splice.ts";
import { chatFromTexts, chatToTexts } from "./chat-embed.ts";
import { chatFromRequest } from "./chat-from-request.ts";
import { chatToRequest } from "./chat-to-request.ts";
import type { RequestDialect } from "./dialect.ts";

export const CHAT_REQUESTS: RequestDialect = {
  parse: ({ route, bytes, decode, limits }) => parseOpenAiBody(route, bytes, decode, limits),
  toRequest: chatToRequest,
  fromRequest: chatFromRequest,
  withModel: modelInBody,
  toTexts: chatToTexts,
  fromTexts: chatFromTexts,
};
