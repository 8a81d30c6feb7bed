/** `@google/genai`: generateContent and generateContentStream. */
import {
  ApiError,
  type Content,
  FinishReason,
  FunctionCallingConfigMode,
  type GenerateContentParameters,
  type GenerateContentResponse,
  GoogleGenAI,
} from "@google/genai";
import type { Stop, Usage } from "../../vendors/scene.ts";
import {
  type Client,
  type Failure,
  type Heard,
  messageOf,
  nameOf,
  nothing,
  stopIn,
  type Target,
  type Wish,
  type WishTurn,
} from "./client.ts";

export const google = ({ base, key }: Target): GoogleGenAI =>
  new GoogleGenAI({
    apiKey: key,
    httpOptions: { baseUrl: base, retryOptions: { attempts: 1 } },
  });

const STOPS: Partial<Record<string, Stop>> = {
  ...{ [FinishReason.STOP]: "end", [FinishReason.MAX_TOKENS]: "length" },
  [FinishReason.SAFETY]: "filter",
};

function contentOf(turn: WishTurn): Content {
  if (turn.role === "tool") {
    const parts = turn.results.map(({ id, name, text }) => ({
      functionResponse: { id, name, response: { output: text } },
    }));
    return { role: "user", parts };
  }
  const text = turn.text === undefined ? [] : [{ text: turn.text }];
  if (turn.role === "assistant") {
    const calls = (turn.calls ?? []).map(({ id, name, args }) => ({
      functionCall: { id, name, args: args as Record<string, unknown> },
    }));
    return { role: "model", parts: [...text, ...calls] };
  }
  if (turn.image === undefined) return { role: "user", parts: text };
  const inlineData = { mimeType: turn.image.media, data: turn.image.data };
  return { role: "user", parts: [...text, { inlineData }] };
}

const MODES = { auto: FunctionCallingConfigMode.AUTO, any: FunctionCallingConfigMode.ANY };

export function paramsOf(wish: Wish, abortSignal?: AbortSignal): GenerateContentParameters {
  const { choice } = wish;
  const named = typeof choice === "object";
  const config = {
    ...{ mode: choice && (named ? MODES.any : MODES[choice]) },
    ...(named ? { allowedFunctionNames: [choice.name] } : {}),
  };
  const tools = (wish.tools ?? []).map(({ name, description, schema }) => ({
    ...{ name, description, parametersJsonSchema: schema },
  }));
  return {
    model: wish.model,
    contents: wish.turns.map(contentOf),
    config: {
      maxOutputTokens: wish.maxTokens,
      ...(abortSignal === undefined ? {} : { abortSignal }),
      ...(wish.system === undefined ? {} : { systemInstruction: wish.system }),
      ...(wish.temperature === undefined ? {} : { temperature: wish.temperature }),
      ...(wish.stops === undefined ? {} : { stopSequences: wish.stops }),
      ...(choice === undefined ? {} : { toolConfig: { functionCallingConfig: config } }),
      ...(tools.length === 0 ? {} : { tools: [{ functionDeclarations: tools }] }),
    },
  };
}

/** Adds one chunk, or a whole answer, which is one chunk. */
function hear(heard: Heard, response: GenerateContentResponse): void {
  const candidate = response.candidates?.[0];
  for (const { text, thought, functionCall } of candidate?.content?.parts ?? []) {
    if (functionCall !== undefined) {
      heard.calls.push({ name: functionCall.name ?? "", args: functionCall.args });
    } else if (thought === true) heard.reasoning += text ?? "";
    else heard.text += text ?? "";
  }
  const stop = stopIn(STOPS, candidate?.finishReason);
  // Gemini says STOP for calls too; its users look at the calls.
  if (stop !== undefined) heard.stop = stop === "end" && heard.calls.length > 0 ? "calls" : stop;
  if (candidate?.finishReason !== undefined) heard.usage = usageOf(response) ?? heard.usage;
}

function usageOf({ usageMetadata }: GenerateContentResponse): Usage | undefined {
  if (usageMetadata === undefined) return undefined;
  const reasoning = usageMetadata.thoughtsTokenCount ?? 0;
  return {
    input: usageMetadata.promptTokenCount ?? 0,
    cached: usageMetadata.cachedContentTokenCount ?? 0,
    output: (usageMetadata.candidatesTokenCount ?? 0) + reasoning,
    reasoning,
  };
}

/** ApiError's message is the JSON of the error object. */
function failure(error: unknown): Failure {
  const message = messageOf(error);
  const said: Failure = { name: nameOf(error), message };
  if (!(error instanceof ApiError)) return said;
  const word = /"status":\s*"([A-Z_]+)"/.exec(message)?.[1];
  return { ...said, status: error.status, word };
}

async function plain(target: Target, wish: Wish, signal?: AbortSignal): Promise<Heard> {
  const heard = nothing();
  hear(heard, await google(target).models.generateContent(paramsOf(wish, signal)));
  heard.returned = true;
  return heard;
}

async function stream(target: Target, wish: Wish, heard: Heard, signal?: AbortSignal) {
  const chunks = await google(target).models.generateContentStream(paramsOf(wish, signal));
  for await (const chunk of chunks) hear(heard, chunk);
  signal?.throwIfAborted();
  heard.returned = true;
}

const deaf = { sequence: "Gemini says STOP for both" };
const throws: Client["throws"] = {
  ...{ refused: () => "ApiError", event: ["ApiError"], broken: ["TypeError"], cut: ["quiet"] },
};
export const googleGenAi: Client = {
  ...{ name: "google genai", dialect: "gemini", deaf, plain, stream, failure, throws },
};
