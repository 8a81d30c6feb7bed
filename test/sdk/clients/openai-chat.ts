/** `openai`: Chat Completions, as an iterator and with its `.stream()` helper. */
import OpenAI, { APIError } from "openai";
import type { Stop, Usage } from "../../vendors/scene.ts";
import {
  type Client,
  dataUrlOf,
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

type Params = OpenAI.Chat.ChatCompletionCreateParamsNonStreaming;
type Message = OpenAI.Chat.ChatCompletionMessageParam;

export const openAi = ({ base, key }: Target): OpenAI =>
  new OpenAI({ apiKey: key, baseURL: `${base}/v1`, maxRetries: 0 });

export const STOPS: Partial<Record<string, Stop>> = {
  ...{ stop: "end", length: "length", tool_calls: "calls", content_filter: "filter" },
};

function messagesOf(turn: WishTurn): Message[] {
  if (turn.role === "tool") {
    return turn.results.map(({ id, text }) => ({ role: "tool", tool_call_id: id, content: text }));
  }
  if (turn.role === "assistant") {
    const calls = (turn.calls ?? []).map(({ id, name, args }) => ({
      ...{ id, type: "function" as const },
      function: { name, arguments: JSON.stringify(args) },
    }));
    const content = turn.text ?? null;
    return [{ role: "assistant", content, ...(calls.length > 0 ? { tool_calls: calls } : {}) }];
  }
  if (turn.image === undefined) return [{ role: "user", content: turn.text }];
  const image = { type: "image_url" as const, image_url: { url: dataUrlOf(turn.image) } };
  return [{ role: "user", content: [{ type: "text", text: turn.text }, image] }];
}

function paramsOf(wish: Wish): Params {
  const system: Message[] =
    wish.system === undefined ? [] : [{ role: "system", content: wish.system }];
  const choice =
    typeof wish.choice === "object"
      ? { type: "function" as const, function: { name: wish.choice.name } }
      : wish.choice === "any"
        ? ("required" as const)
        : wish.choice;
  return {
    model: wish.model,
    messages: [...system, ...wish.turns.flatMap(messagesOf)],
    max_completion_tokens: wish.maxTokens,
    ...(wish.temperature === undefined ? {} : { temperature: wish.temperature }),
    ...(wish.stops === undefined ? {} : { stop: wish.stops }),
    ...(choice === undefined ? {} : { tool_choice: choice }),
    ...(wish.tools === undefined
      ? {}
      : {
          tools: wish.tools.map(({ name, description, schema }) => ({
            type: "function" as const,
            function: { name, description, parameters: schema },
          })),
        }),
  };
}

function usageOf(usage: OpenAI.CompletionUsage | null | undefined): Usage | undefined {
  if (usage === null || usage === undefined) return undefined;
  return {
    input: usage.prompt_tokens,
    cached: usage.prompt_tokens_details?.cached_tokens ?? 0,
    output: usage.completion_tokens,
    reasoning: usage.completion_tokens_details?.reasoning_tokens ?? 0,
  };
}

/** Not OpenAI's own field, so the SDK has no type for it; it hands it over all the same. */
const thought = (message: object | undefined): string =>
  (message as { reasoning_content?: string } | undefined)?.reasoning_content ?? "";

function hear(heard: Heard, completion: OpenAI.Chat.ChatCompletion): Heard {
  const choice = completion.choices[0];
  heard.text = choice?.message.content ?? "";
  heard.reasoning = thought(choice?.message);
  heard.calls = (choice?.message.tool_calls ?? []).flatMap((call) =>
    call.type === "function"
      ? [{ name: call.function.name, args: JSON.parse(call.function.arguments) }]
      : [],
  );
  heard.stop = stopIn(STOPS, choice?.finish_reason);
  heard.usage = usageOf(completion.usage);
  heard.returned = true;
  return heard;
}

export function openAiFailure(error: unknown): Failure {
  const failure: Failure = { name: nameOf(error), message: messageOf(error) };
  if (!(error instanceof APIError)) return failure;
  return { ...failure, status: error.status, word: error.code ?? error.type };
}

const plain = async (target: Target, wish: Wish, signal?: AbortSignal): Promise<Heard> =>
  hear(nothing(), await openAi(target).chat.completions.create(paramsOf(wish), { signal }));

const streamed = (wish: Wish) => ({
  ...paramsOf(wish),
  stream: true as const,
  stream_options: { include_usage: true },
});

async function iterate(target: Target, wish: Wish, heard: Heard, signal?: AbortSignal) {
  const stream = await openAi(target).chat.completions.create(streamed(wish), { signal });
  const calls: { name: string; args: string }[] = [];
  for await (const { choices, usage } of stream) {
    const choice = choices[0];
    heard.text += choice?.delta.content ?? "";
    heard.reasoning += thought(choice?.delta);
    for (const { index, function: made } of choice?.delta.tool_calls ?? []) {
      calls[index] ??= { name: made?.name ?? "", args: "" };
      calls[index].args += made?.arguments ?? "";
    }
    heard.stop = stopIn(STOPS, choice?.finish_reason) ?? heard.stop;
    heard.usage = usageOf(usage) ?? heard.usage;
  }
  // An abort ends the SDK's iteration without a throw.
  signal?.throwIfAborted();
  if (heard.stop !== undefined) {
    heard.calls = calls.map(({ name, args }) => ({ name, args: JSON.parse(args) }));
  }
  heard.returned = true;
}

async function help(target: Target, wish: Wish, heard: Heard, signal?: AbortSignal) {
  const helper = openAi(target).chat.completions.stream(streamed(wish), { signal });
  let reasoning = "";
  helper.on("chunk", ({ choices }) => {
    heard.text += choices[0]?.delta.content ?? "";
    reasoning += thought(choices[0]?.delta);
  });
  hear(heard, await helper.finalChatCompletion());
  // Of fields that it does not know the SDK's snapshot keeps the last piece only.
  heard.reasoning = reasoning;
}

const own: Pick<Client, "dialect" | "plain" | "failure" | "deaf"> = {
  dialect: "chat",
  plain,
  failure: openAiFailure,
  deaf: { sequence: "Chat says 'stop' for both" },
};

const thrown = { refused: stainlessClass, event: ["APIError"] };

export const openAiChat: Client = {
  ...{ name: "openai chat", ...own, stream: iterate },
  throws: { ...thrown, broken: ["APIConnectionError", "TypeError"], cut: ["quiet"] },
};
export const openAiChatHelper: Client = {
  ...{ name: "openai chat .stream()", ...own, stream: help },
  throws: { ...thrown, broken: ["APIConnectionError", "OpenAIError"], cut: ["OpenAIError"] },
};
