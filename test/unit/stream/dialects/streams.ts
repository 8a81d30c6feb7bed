/** Streams of each dialect, as their vendors send them, for the tests of this folder. */
import type { WriterOptions } from "../../../../src/stream/dialects/dialect.ts";

export const OPTIONS: WriterOptions = {
  model: "asked",
  id: "req_1",
  createdS: 1_700_000_000,
  usage: true,
  promptTokens: 12,
  version: undefined,
  asked: {},
};

export function chat(...chunks: unknown[]): string {
  const frames = chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`);
  return `${frames.join("")}data: [DONE]\n\n`;
}

export function choice(delta: object, finish: string | null = null, index = 0): object {
  const choices = [{ index, delta, logprobs: null, finish_reason: finish }];
  return { id: "chatcmpl-7", object: "chat.completion.chunk", created: 1, model: "m1", choices };
}

export const CHAT_USAGE = {
  ...{ id: "chatcmpl-7", object: "chat.completion.chunk", created: 1, model: "m1", choices: [] },
  usage: {
    ...{ prompt_tokens: 20, completion_tokens: 5, total_tokens: 25 },
    prompt_tokens_details: { cached_tokens: 16 },
    completion_tokens_details: { reasoning_tokens: 2 },
  },
};

export function messages(...events: ({ type: string } & Record<string, unknown>)[]): string {
  return events.map((e) => `event: ${e.type}\ndata: ${JSON.stringify(e)}\n\n`).join("");
}

export const MESSAGE_START = {
  type: "message_start",
  message: {
    ...{ id: "msg_7", type: "message", role: "assistant", model: "claude", content: [] },
    ...{ stop_reason: null, stop_sequence: null },
    usage: { input_tokens: 4, cache_read_input_tokens: 16, output_tokens: 1 },
  },
};

/** Text, a thought with its proof, and a tool call with streamed arguments. */
export const MESSAGE = messages(
  MESSAGE_START,
  { type: "ping" },
  { type: "content_block_start", index: 0, content_block: { type: "thinking", thinking: "" } },
  { type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: "hm" } },
  { type: "content_block_delta", index: 0, delta: { type: "signature_delta", signature: "s1" } },
  { type: "content_block_stop", index: 0 },
  { type: "content_block_start", index: 1, content_block: { type: "text", text: "" } },
  { type: "content_block_delta", index: 1, delta: { type: "text_delta", text: "Hé" } },
  { type: "content_block_delta", index: 1, delta: { type: "text_delta", text: "llo" } },
  { type: "content_block_stop", index: 1 },
  {
    type: "content_block_start",
    index: 2,
    content_block: { type: "tool_use", id: "toolu_1", name: "weather", input: {} },
  },
  { type: "content_block_delta", index: 2, delta: { type: "input_json_delta", partial_json: "" } },
  {
    type: "content_block_delta",
    index: 2,
    delta: { type: "input_json_delta", partial_json: '{"city":' },
  },
  {
    type: "content_block_delta",
    index: 2,
    delta: { type: "input_json_delta", partial_json: '"Oslo"}' },
  },
  { type: "content_block_stop", index: 2 },
  {
    type: "message_delta",
    delta: { stop_reason: "tool_use", stop_sequence: null },
    usage: { output_tokens: 30 },
  },
  { type: "message_stop" },
);
