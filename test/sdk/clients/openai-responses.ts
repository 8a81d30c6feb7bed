/** `openai`: Responses, as an iterator, with its `.stream()` helper, and over a WebSocket. */
import type OpenAI from "openai";
import { ResponsesWS } from "openai/resources/responses/ws";
import type { Stop, Usage } from "../../vendors/scene.ts";
import {
  type Client,
  dataUrlOf,
  type Heard,
  nothing,
  stainlessClass,
  type Target,
  type Wish,
  type WishTurn,
} from "./client.ts";
import { openAi, openAiFailure } from "./openai-chat.ts";

type Params = OpenAI.Responses.ResponseCreateParamsNonStreaming;
type Item = OpenAI.Responses.ResponseInputItem;
type Event = OpenAI.Responses.ResponseStreamEvent;

function itemsOf(turn: WishTurn): Item[] {
  if (turn.role === "tool") {
    return turn.results.map(({ id, text }) => ({
      ...{ type: "function_call_output", call_id: id, output: text },
    }));
  }
  if (turn.role === "assistant") {
    const said: Item[] =
      turn.text === undefined ? [] : [{ role: "assistant", content: turn.text, type: "message" }];
    const calls = (turn.calls ?? []).map(({ id, name, args }) => ({
      ...{ type: "function_call" as const, call_id: id, name, arguments: JSON.stringify(args) },
    }));
    return [...said, ...calls];
  }
  const text = { type: "input_text" as const, text: turn.text };
  if (turn.image === undefined) return [{ type: "message", role: "user", content: [text] }];
  const image_url = dataUrlOf(turn.image);
  const image = { type: "input_image" as const, detail: "auto" as const, image_url };
  return [{ type: "message", role: "user", content: [text, image] }];
}

function paramsOf(wish: Wish): Params {
  const choice =
    typeof wish.choice === "object"
      ? { type: "function" as const, name: wish.choice.name }
      : wish.choice === "any"
        ? ("required" as const)
        : wish.choice;
  return {
    model: wish.model,
    input: wish.turns.flatMap(itemsOf),
    max_output_tokens: wish.maxTokens,
    store: false,
    ...(wish.system === undefined ? {} : { instructions: wish.system }),
    ...(wish.temperature === undefined ? {} : { temperature: wish.temperature }),
    ...(choice === undefined ? {} : { tool_choice: choice }),
    ...(wish.tools === undefined
      ? {}
      : {
          tools: wish.tools.map(({ name, description, schema }) => ({
            ...{ type: "function" as const, name, description, parameters: schema, strict: false },
          })),
        }),
  };
}

function usageOf(usage: OpenAI.Responses.ResponseUsage | undefined | null): Usage | undefined {
  if (usage === undefined || usage === null) return undefined;
  return {
    input: usage.input_tokens,
    cached: usage.input_tokens_details.cached_tokens,
    output: usage.output_tokens,
    reasoning: usage.output_tokens_details.reasoning_tokens,
  };
}

function stopOf(response: OpenAI.Responses.Response): Stop | undefined {
  const reason = response.incomplete_details?.reason;
  if (response.status === "incomplete") return reason === "content_filter" ? "filter" : "length";
  if (response.status !== "completed") return undefined;
  return response.output.some(({ type }) => type === "function_call") ? "calls" : "end";
}

function hear(heard: Heard, response: OpenAI.Responses.Response): Heard {
  heard.text = response.output
    .flatMap((item) => (item.type === "message" ? item.content : []))
    .map((part) => (part.type === "output_text" ? part.text : part.refusal))
    .join("");
  heard.reasoning = response.output
    .flatMap((item) => (item.type === "reasoning" ? item.summary : []))
    .map(({ text }) => text)
    .join("");
  heard.calls = response.output.flatMap((item) =>
    item.type === "function_call" ? [{ name: item.name, args: JSON.parse(item.arguments) }] : [],
  );
  heard.stop = stopOf(response);
  heard.usage = usageOf(response.usage);
  heard.returned = true;
  return heard;
}

/** One event; what the last one holds must be what the deltas said. */
function follow(heard: Heard, event: Event): boolean {
  if (event.type === "response.output_text.delta") heard.text += event.delta;
  if (event.type === "response.reasoning_summary_text.delta") heard.reasoning += event.delta;
  if (event.type === "response.failed") {
    const { code, message } = event.response.error ?? { code: "", message: "no error object" };
    throw new ResponseFailed(message, code);
  }
  if (event.type !== "response.completed" && event.type !== "response.incomplete") return false;
  const { text, reasoning } = heard;
  hear(heard, event.response);
  if (heard.text !== text || heard.reasoning !== reasoning) {
    throw new Error(`deltas said "${text}${reasoning}", the response "${heard.text}"`);
  }
  return true;
}

/** What users of the iterator make of `response.failed`, which the SDK hands over as an event. */
export class ResponseFailed extends Error {
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }
}

async function iterate(target: Target, wish: Wish, heard: Heard, signal?: AbortSignal) {
  const params = { ...paramsOf(wish), stream: true as const };
  const stream = await openAi(target).responses.create(params, { signal });
  for await (const event of stream) follow(heard, event);
  signal?.throwIfAborted();
  heard.returned = true;
}

async function help(target: Target, wish: Wish, heard: Heard, signal?: AbortSignal) {
  const helper = openAi(target).responses.stream({ ...paramsOf(wish), stream: true }, { signal });
  helper.on("event", (event) => {
    if (event.type === "response.output_text.delta") heard.text += event.delta;
  });
  const response = await helper.finalResponse();
  if (response.status === "failed") {
    throw new ResponseFailed(response.error?.message ?? "", response.error?.code ?? "");
  }
  hear(heard, response);
}

async function socket(target: Target, wish: Wish, heard: Heard, signal?: AbortSignal) {
  const { store, ...params } = paramsOf(wish);
  const session = new ResponsesWS(openAi(target));
  const leave = (): void => session.close();
  signal?.addEventListener("abort", leave);
  try {
    session.send({ type: "response.create", store, ...params } as never);
    for await (const part of session) {
      if (part.type === "error") throw part.error;
      if (part.type === "close") break;
      if (part.type === "message" && follow(heard, part.message as Event)) break;
    }
    signal?.throwIfAborted();
    heard.returned = true;
  } finally {
    signal?.removeEventListener("abort", leave);
    session.close();
  }
}

const own: Pick<Client, "dialect" | "plain" | "failure" | "deaf"> = {
  dialect: "responses",
  plain: async (target, wish, signal) =>
    hear(nothing(), await openAi(target).responses.create(paramsOf(wish), { signal })),
  failure: (error) =>
    error instanceof ResponseFailed
      ? { name: "ResponseFailed", word: error.code, message: error.message }
      : openAiFailure(error),
  deaf: { sequence: "Responses has no stop sequences" },
};

const thrown = { refused: stainlessClass, event: ["ResponseFailed", "APIError"] };

export const openAiResponses: Client = {
  ...{ name: "openai responses", ...own, stream: iterate },
  throws: { ...thrown, broken: ["APIConnectionError", "TypeError"], cut: ["quiet"] },
};
export const openAiResponsesHelper: Client = {
  ...{ name: "openai responses .stream()", ...own, stream: help },
  throws: {
    ...thrown,
    // It wants `response.created` before everything else, and parses arguments that were cut.
    event: [...thrown.event, "OpenAIError"],
    broken: ["APIConnectionError", "OpenAIError"],
    cut: ["OpenAIError", "SyntaxError", "quiet"],
  },
};
export const openAiResponsesSocket: Client = {
  ...{ name: "openai ResponsesWS", ...own, stream: socket },
  door: "responses over WebSocket",
  throws: {
    refused: () => "WebSocketError",
    event: ["WebSocketError", "ResponseFailed"],
    // A socket that closes ends the iteration; the user sees a `close` event.
    broken: ["quiet"],
    cut: ["quiet"],
  },
};
