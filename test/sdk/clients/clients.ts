/** Every client that must pass. */
import { aiAnthropic, aiCompatible, aiGoogle, aiOpenAi, aiOpenAiChat } from "./ai-sdk.ts";
import { anthropicHelper, anthropicMessages } from "./anthropic.ts";
import type { Client } from "./client.ts";
import { googleGenAi } from "./google.ts";
import { openAiChat, openAiChatHelper } from "./openai-chat.ts";
import { openAiRealtime } from "./openai-realtime.ts";
import {
  openAiResponses,
  openAiResponsesHelper,
  openAiResponsesSocket,
} from "./openai-responses.ts";

export const CLIENTS: readonly Client[] = [
  ...[openAiChat, openAiChatHelper, aiOpenAiChat, aiCompatible],
  ...[openAiResponses, openAiResponsesHelper, openAiResponsesSocket, aiOpenAi],
  openAiRealtime,
  ...[anthropicMessages, anthropicHelper, aiAnthropic],
  ...[googleGenAi, aiGoogle],
];
