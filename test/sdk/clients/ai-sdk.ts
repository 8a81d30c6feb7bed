/** The AI SDK (`ai`): generateText and streamText over the providers of four vendors. */
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogle } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import {
  APICallError,
  generateText,
  jsonSchema,
  type LanguageModel,
  type LanguageModelUsage,
  type ModelMessage,
  streamText,
  tool,
  type ToolSet,
} from "ai";
import type { Dialect, Stop, Usage } from "../../vendors/scene.ts";
import {
  type Client,
  type Failure,
  type Heard,
  messageOf,
  nameOf,
  stopIn,
  type Target,
  type Wish,
  type WishTurn,
} from "./client.ts";

// What a provider does not support is said in `deaf`.
globalThis.AI_SDK_LOG_WARNINGS = false;

type ModelOf = (target: Target, model: string) => LanguageModel;

const STOPS: Partial<Record<string, Stop>> = {
  ...{ stop: "end", length: "length", "tool-calls": "calls", "content-filter": "filter" },
};

function messageFrom(turn: WishTurn): ModelMessage {
  if (turn.role === "tool") {
    const content = turn.results.map(({ id, name, text }) => ({
      ...{ type: "tool-result" as const, toolCallId: id, toolName: name },
      output: { type: "text" as const, value: text },
    }));
    return { role: "tool", content };
  }
  const text = turn.text === undefined ? [] : [{ type: "text" as const, text: turn.text }];
  if (turn.role === "assistant") {
    const calls = (turn.calls ?? []).map(({ id, name, args }) => ({
      ...{ type: "tool-call" as const, toolCallId: id, toolName: name, input: args },
    }));
    return { role: "assistant", content: [...text, ...calls] };
  }
  if (turn.image === undefined) return { role: "user", content: turn.text };
  const { media, data } = turn.image;
  return { role: "user", content: [...text, { type: "file", mediaType: media, data }] };
}

function optionsOf(model: LanguageModel, wish: Wish, abortSignal?: AbortSignal) {
  const tools: ToolSet = Object.fromEntries(
    (wish.tools ?? []).map(({ name, description, schema }) => [
      name,
      tool({ description, inputSchema: jsonSchema(schema as never) }),
    ]),
  );
  const { choice } = wish;
  const toolChoice =
    typeof choice === "object"
      ? { type: "tool" as const, toolName: choice.name }
      : choice === "any"
        ? ("required" as const)
        : choice;
  return {
    ...{ model, maxRetries: 0, maxOutputTokens: wish.maxTokens, abortSignal },
    ...{ messages: wish.turns.map(messageFrom) },
    ...(wish.system === undefined ? {} : { instructions: wish.system }),
    ...(wish.temperature === undefined ? {} : { temperature: wish.temperature }),
    ...(wish.stops === undefined ? {} : { stopSequences: wish.stops }),
    ...(wish.tools === undefined ? {} : { tools }),
    ...(toolChoice === undefined ? {} : { toolChoice }),
  };
}

function usageOf(usage: LanguageModelUsage): Usage | undefined {
  if (usage.inputTokens === undefined || usage.outputTokens === undefined) return undefined;
  return {
    input: usage.inputTokens,
    cached: usage.inputTokenDetails.cacheReadTokens ?? 0,
    output: usage.outputTokens,
    reasoning: usage.outputTokenDetails.reasoningTokens ?? 0,
  };
}

async function plain(model: LanguageModel, wish: Wish, signal?: AbortSignal): Promise<Heard> {
  const result = await generateText(optionsOf(model, wish, signal));
  return {
    text: result.text,
    reasoning: result.reasoningText ?? "",
    calls: result.toolCalls.map(({ toolName, input }) => ({ name: toolName, args: input })),
    stop: stopIn(STOPS, result.finishReason),
    usage: usageOf(result.usage),
    returned: true,
  };
}

async function stream(model: LanguageModel, wish: Wish, heard: Heard, signal?: AbortSignal) {
  // Without a handler the SDK also prints every error.
  const result = streamText({ ...optionsOf(model, wish, signal), onError: () => {} });
  for await (const part of result.stream) {
    if (part.type === "text-delta") heard.text += part.text;
    if (part.type === "reasoning-delta") heard.reasoning += part.text;
    if (part.type === "tool-call") heard.calls.push({ name: part.toolName, args: part.input });
    if (part.type === "error") throw part.error;
    if (part.type === "abort") throw new DOMException("aborted", "AbortError");
    if (part.type === "finish") {
      heard.stop = stopIn(STOPS, part.finishReason);
      heard.usage = usageOf(part.totalUsage);
    }
  }
  heard.returned = true;
}

function failure(error: unknown): Failure {
  const said: Failure = { name: nameOf(error), message: messageOf(error) };
  if (APICallError.isInstance(error)) said.status = error.statusCode;
  return said;
}

/** Of an error event before the first content some providers make an answer with that status. */
const thrown = {
  refused: () => "APICallError",
  event: ["APICallError", "StreamProviderError"],
  broken: ["APICallError"],
};

function client(
  name: string,
  dialect: Dialect,
  modelOf: ModelOf,
  deaf: Client["deaf"],
  cut: readonly string[] = ["quiet"],
): Client {
  return {
    ...{ name: `ai ${name}`, dialect, deaf, failure, throws: { ...thrown, cut } },
    plain: (target, wish, signal) => plain(modelOf(target, wish.model), wish, signal),
    stream: (target, wish, heard, signal) =>
      stream(modelOf(target, wish.model), wish, heard, signal),
  };
}

const openAi = ({ base, key }: Target) => createOpenAI({ apiKey: key, baseURL: `${base}/v1` });
const sequence = "the SDK says 'stop' for both";

export const aiOpenAi = client("openai", "responses", (at, m) => openAi(at)(m), { sequence });
export const aiOpenAiChat = client("openai.chat", "chat", (at, m) => openAi(at).chat(m), {
  ...{ sequence, reasoning: "@ai-sdk/openai knows no reasoning_content" },
});
export const aiCompatible = client(
  "openai-compatible",
  "chat",
  ({ base, key }, model) => {
    const options = { name: "grid", apiKey: key, baseURL: `${base}/v1`, includeUsage: true };
    return createOpenAICompatible(options)(model);
  },
  { sequence },
  ["InvalidResponseDataError"],
);
export const aiAnthropic = client(
  "anthropic",
  "messages",
  ({ base, key }, model) => createAnthropic({ apiKey: key, baseURL: `${base}/v1` })(model),
  { sequence, reasoningTokens: "it asks for API version 2023-06-01, which does not say" },
  ["NoOutputGeneratedError", "quiet"],
);
export const aiGoogle = client(
  "google",
  "gemini",
  ({ base, key }, model) => createGoogle({ apiKey: key, baseURL: `${base}/v1beta` })(model),
  { sequence },
);
