/** `@anthropic-ai/sdk`: Messages, as an iterator and with its `.stream()` helper. */
import Anthropic, { APIError } from "@anthropic-ai/sdk";
import type { Stop, Usage } from "../../vendors/scene.ts";
import {
  type Client,
  type Failure,
  type Heard,
  messageOf,
  nameOf,
  nothing,
  stainlessClass,
  stopIn,
  type Target,
  type Wish,
  type WishTurn,
} from "./client.ts";

type Params = Anthropic.MessageCreateParamsNonStreaming;

export const anthropic = ({ base, key }: Target): Anthropic =>
  new Anthropic({ apiKey: key, baseURL: base, maxRetries: 0 });

const STOPS: Partial<Record<string, Stop>> = {
  ...{ end_turn: "end", max_tokens: "length", tool_use: "calls", refusal: "filter" },
  ...{ stop_sequence: "sequence" },
};

function messageFrom(turn: WishTurn): Anthropic.MessageParam {
  if (turn.role === "tool") {
    const content = turn.results.map(({ id, text }) => ({
      ...{ type: "tool_result" as const, tool_use_id: id, content: text },
    }));
    return { role: "user", content };
  }
  const text = turn.text === undefined ? [] : [{ type: "text" as const, text: turn.text }];
  if (turn.role === "assistant") {
    const calls = (turn.calls ?? []).map(({ id, name, args }) => ({
      ...{ type: "tool_use" as const, id, name, input: args },
    }));
    return { role: "assistant", content: [...text, ...calls] };
  }
  if (turn.image === undefined) return { role: "user", content: turn.text };
  const media_type = turn.image.media as "image/png";
  const source = { type: "base64" as const, media_type, data: turn.image.data };
  return { role: "user", content: [...text, { type: "image", source }] };
}

export function paramsOf(wish: Wish): Params {
  const choice =
    typeof wish.choice === "object"
      ? { type: "tool" as const, name: wish.choice.name }
      : wish.choice && { type: wish.choice };
  return {
    model: wish.model,
    max_tokens: wish.maxTokens,
    messages: wish.turns.map(messageFrom),
    ...(wish.system === undefined ? {} : { system: wish.system }),
    ...(wish.temperature === undefined ? {} : { temperature: wish.temperature }),
    ...(wish.stops === undefined ? {} : { stop_sequences: wish.stops }),
    ...(choice === undefined ? {} : { tool_choice: choice }),
    ...(wish.tools === undefined
      ? {}
      : {
          tools: wish.tools.map(({ name, description, schema }) => ({
            ...{ name, description, input_schema: schema },
          })),
        }),
  };
}

function usageOf(usage: Anthropic.Usage | Anthropic.MessageDeltaUsage): Usage {
  const cached = usage.cache_read_input_tokens ?? 0;
  return {
    input: (usage.input_tokens ?? 0) + cached + (usage.cache_creation_input_tokens ?? 0),
    cached,
    output: usage.output_tokens,
    reasoning: usage.output_tokens_details?.thinking_tokens ?? 0,
  };
}

function hear(heard: Heard, message: Anthropic.Message): Heard {
  const texts = (kind: "text" | "thinking"): string =>
    message.content.map((block) => (block.type === kind ? Reflect.get(block, kind) : "")).join("");
  heard.text = texts("text");
  heard.reasoning = texts("thinking");
  heard.calls = message.content.flatMap((block) =>
    block.type === "tool_use" ? [{ name: block.name, args: block.input }] : [],
  );
  heard.stop = stopIn(STOPS, message.stop_reason);
  heard.usage = usageOf(message.usage);
  heard.returned = true;
  return heard;
}

function failure(error: unknown): Failure {
  const said: Failure = { name: nameOf(error), message: messageOf(error) };
  if (!(error instanceof APIError)) return said;
  return { ...said, status: error.status, word: error.type ?? undefined };
}

async function iterate(target: Target, wish: Wish, heard: Heard, signal?: AbortSignal) {
  const params = { ...paramsOf(wish), stream: true as const };
  const stream = await anthropic(target).messages.create(params, { signal });
  const open: { name: string; json: string }[] = [];
  let stop: Stop | undefined;
  for await (const event of stream) {
    if (event.type === "content_block_start" && event.content_block.type === "tool_use") {
      open.push({ name: event.content_block.name, json: "" });
    }
    if (event.type === "content_block_delta") {
      const { delta } = event;
      if (delta.type === "text_delta") heard.text += delta.text;
      if (delta.type === "thinking_delta") heard.reasoning += delta.thinking;
      if (delta.type === "input_json_delta")
        (open.at(-1) ?? { json: "" }).json += delta.partial_json;
    }
    if (event.type === "message_delta") {
      stop = stopIn(STOPS, event.delta.stop_reason);
      heard.usage = usageOf(event.usage);
    }
    if (event.type === "message_stop") heard.stop = stop;
  }
  signal?.throwIfAborted();
  if (heard.stop !== undefined) {
    heard.calls = open.map(({ name, json }) => ({ name, args: JSON.parse(json || "{}") }));
  }
  heard.returned = true;
}

async function help(target: Target, wish: Wish, heard: Heard, signal?: AbortSignal) {
  const helper = anthropic(target).messages.stream(paramsOf(wish), { signal });
  helper.on("text", (delta) => {
    heard.text += delta;
  });
  hear(heard, await helper.finalMessage());
}

const own: Pick<Client, "dialect" | "plain" | "failure"> = {
  dialect: "messages",
  plain: async (target, wish, signal) =>
    hear(nothing(), await anthropic(target).messages.create(paramsOf(wish), { signal })),
  failure,
};

function refused(status: number): string {
  if (status === 503) return "ServiceUnavailableError";
  return status === 529 ? "OverloadedError" : stainlessClass(status);
}
const thrown = { refused, event: ["APIError"] };

export const anthropicMessages: Client = {
  ...{ name: "anthropic", ...own, stream: iterate },
  throws: { ...thrown, broken: ["APIConnectionError", "TypeError"], cut: ["quiet"] },
};
export const anthropicHelper: Client = {
  ...{ name: "anthropic .stream()", ...own, stream: help },
  throws: { ...thrown, broken: ["APIConnectionError", "AnthropicError"], cut: ["AnthropicError"] },
};
