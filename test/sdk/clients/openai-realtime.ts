/**
 * `openai`: Realtime for text, over a WebSocket with TLS. It has streams only, so a plain answer is
 * one that is read to its end.
 */
import type OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import type { Stop, Usage } from "../../vendors/scene.ts";
import { type Client, dataUrlOf, type Failure, type Heard, messageOf, nameOf } from "./client.ts";
import { nothing, type Target, type Wish, type WishTurn } from "./client.ts";
import { openAi } from "./openai-chat.ts";
import { ResponseFailed } from "./openai-responses.ts";

type Item = OpenAI.Realtime.ConversationItem;
type Done = OpenAI.Realtime.RealtimeResponse;

function itemsOf(turn: WishTurn): Item[] {
  if (turn.role === "tool") {
    return turn.results.map(({ id, text }) => ({
      ...{ type: "function_call_output", call_id: id, output: text },
    }));
  }
  if (turn.role === "assistant") {
    const content = [{ type: "output_text" as const, text: turn.text }];
    const said: Item[] =
      turn.text === undefined ? [] : [{ type: "message", role: "assistant", content }];
    const calls = (turn.calls ?? []).map(({ id, name, args }) => ({
      ...{ type: "function_call" as const, call_id: id, name, arguments: JSON.stringify(args) },
    }));
    return [...said, ...calls];
  }
  const text = { type: "input_text" as const, text: turn.text };
  const image =
    turn.image === undefined
      ? []
      : [{ type: "input_image" as const, image_url: dataUrlOf(turn.image) }];
  return [{ type: "message", role: "user", content: [text, ...image] }];
}

function sessionOf(wish: Wish): OpenAI.Realtime.RealtimeSessionCreateRequest {
  const choice =
    typeof wish.choice === "object"
      ? { type: "function" as const, name: wish.choice.name }
      : wish.choice === "any"
        ? ("required" as const)
        : wish.choice;
  const tools = (wish.tools ?? []).map(({ name, description, schema }) => ({
    ...{ type: "function" as const, name, description, parameters: schema },
  }));
  return {
    ...{ type: "realtime", output_modalities: ["text"], max_output_tokens: wish.maxTokens, tools },
    ...(wish.system === undefined ? {} : { instructions: wish.system }),
    ...(choice === undefined ? {} : { tool_choice: choice }),
  };
}

function usageOf(usage: Done["usage"]): Usage | undefined {
  if (usage === undefined || usage === null) return undefined;
  return {
    input: usage.input_tokens ?? 0,
    cached: usage.input_token_details?.cached_tokens ?? 0,
    output: usage.output_tokens ?? 0,
    reasoning: 0,
  };
}

function stopOf({ status, status_details, output }: Done): Stop | undefined {
  const reason = status_details?.reason;
  if (status === "incomplete") return reason === "content_filter" ? "filter" : "length";
  if (status !== "completed") return undefined;
  return (output ?? []).some(({ type }) => type === "function_call") ? "calls" : "end";
}

/** @throws ResponseFailed */
function hear(heard: Heard, response: Done): void {
  if (response.status === "failed") {
    throw new ResponseFailed("the response failed", response.status_details?.error?.code ?? "");
  }
  const output = response.output ?? [];
  const text = output
    .flatMap((item) => (item.type === "message" && item.role === "assistant" ? item.content : []))
    .map((part) => part.text ?? "")
    .join("");
  if (text !== heard.text) throw new Error(`deltas said "${heard.text}", the response "${text}"`);
  heard.calls = output.flatMap((item) =>
    item.type === "function_call" ? [{ name: item.name, args: JSON.parse(item.arguments) }] : [],
  );
  heard.stop = stopOf(response);
  heard.usage = usageOf(response.usage);
  heard.returned = true;
}

async function stream(target: Target, wish: Wish, heard: Heard, signal?: AbortSignal) {
  const { secure } = target;
  if (secure === undefined) throw new Error("Realtime needs a target with TLS");
  const client = openAi({ base: secure.base, key: target.key });
  const options = { ca: secure.ca };
  const session = new OpenAIRealtimeWS({ model: wish.model, options }, client);
  try {
    const done = await new Promise<Done>((resolve, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason as Error));
      session.on("error", reject);
      session.socket.on("close", () => reject(new Error("the socket closed")));
      session.on("response.output_text.delta", ({ delta }) => {
        heard.text += delta;
      });
      session.on("response.done", ({ response }) => resolve(response));
      session.on("session.created", () => {
        session.send({ type: "session.update", session: sessionOf(wish) });
        for (const item of wish.turns.flatMap(itemsOf)) {
          session.send({ type: "conversation.item.create", item });
        }
        session.send({ type: "response.create" });
      });
    });
    hear(heard, done);
  } finally {
    session.close();
  }
}

/** Statuses stand in the handshake's refusal, or behind the word of an event. */
function failure(error: unknown): Failure {
  const told = error as { error?: { code?: string; message?: string } };
  const word = error instanceof ResponseFailed ? error.code : told.error?.code;
  const message = told.error?.message ?? messageOf(error);
  const refused = /Unexpected server response: (\d+)/.exec(messageOf(error))?.[1];
  const status = word === "model_not_found" ? 404 : refused && Number(refused);
  return { name: nameOf(error), message, word, ...(status ? { status } : {}) };
}

export const openAiRealtime: Client = {
  ...{ name: "openai RealtimeWS", dialect: "responses", door: "realtime", stream, failure },
  streamsOnly: true,
  plain: async (target, wish, signal) => {
    const heard = nothing();
    await stream(target, wish, heard, signal);
    return heard;
  },
  deaf: {
    reasoning: "Realtime has no items of reasoning",
    reasoningTokens: "Realtime's usage does not tell them",
    sequence: "Realtime has no stop sequences",
    temperature: "Realtime has none",
  },
  throws: {
    refused: () => "OpenAIRealtimeError",
    event: ["OpenAIRealtimeError", "ResponseFailed"],
    ...{ broken: [], cut: [] },
  },
};
