/**
 * An answer in the words of the Realtime API: the events of a Responses stream under their names
 * there. Thoughts have no place in it, so items are numbered anew.
 */
import { type Fields, isFields } from "../task/body-fields.ts";
import { parsed } from "./response-turn.ts";
import { fieldsOf, type Outbox } from "./socket-session.ts";
import type { TurnSink } from "./socket-turn.ts";

export interface RealtimeHost {
  box: Outbox;
  /** The event as it goes out, with an id of its own. */
  frame(event: Fields): string;
  /** An item of the answer begins: the id of the item that it stands behind. */
  added(item: Fields): string | null;
  /** The item is whole. */
  done(item: Fields): void;
  /** It was refused before it was a response. */
  refused(error: Fields): void;
  /** Exactly once. */
  settled(): void;
}

/** What the caller asked for that the response repeats. */
export interface Asked {
  metadata: unknown;
  max_output_tokens: unknown;
  conversation: string | null;
}

interface Place {
  index: number;
  callId: unknown;
}

export class RealtimeOutput implements TurnSink {
  responseId = "";
  private readonly host: RealtimeHost;
  private readonly asked: Asked;
  /** By the index that the Responses stream gives. */
  private readonly places = new Map<unknown, Place>();
  private readonly output: Fields[] = [];
  private room = true;
  private cancelled = false;
  private over = false;

  constructor(host: RealtimeHost, asked: Asked) {
    this.host = host;
    this.asked = asked;
  }

  whenRoom(listener: () => void): void {
    this.host.box.whenRoom(listener);
  }

  event(name: string, data: string): boolean {
    this.room = true;
    const event = parsed(data);
    if (event !== undefined) this.read(name, event);
    return this.room;
  }

  refused(_status: number, error: Fields): void {
    if (this.responseId === "") return this.host.refused(error);
    const { type, code } = error;
    this.end("failed", { type: "failed", error: { type, code } }, undefined);
  }

  /** The client wants no more of it. */
  cancel(): void {
    this.cancelled = true;
  }

  settled(): void {
    if (this.responseId !== "") {
      const reason = { type: "cancelled", reason: "client_cancelled" };
      if (this.cancelled) this.end("cancelled", reason, undefined);
      else this.end("failed", { type: "failed" }, undefined);
    }
    this.host.settled();
  }

  private read(name: string, event: Fields): void {
    const place = this.places.get(event.output_index);
    switch (name) {
      case "response.created":
        return this.begin(fieldsOf(event.response));
      case "response.output_item.added":
        return this.add(event.output_index, fieldsOf(event.item));
      case "response.output_item.done":
        return place === undefined ? undefined : this.finish(place, fieldsOf(event.item));
      case "response.completed":
        return this.end("completed", null, fieldsOf(event.response).usage);
      case "response.incomplete": {
        const { incomplete_details, usage } = fieldsOf(event.response);
        const details = { type: "incomplete", reason: fieldsOf(incomplete_details).reason };
        return this.end("incomplete", details, usage);
      }
    }
    if (place !== undefined) this.say(name, event, place);
  }

  /** The parts of an item. */
  private say(name: string, event: Fields, { index, callId }: Place): void {
    const { item_id, content_index, delta } = event;
    const at = { response_id: this.responseId, item_id, output_index: index };
    const inPart = { ...at, content_index };
    switch (name) {
      case "response.content_part.added":
      case "response.content_part.done": {
        const { text, refusal } = fieldsOf(event.part);
        return this.send(name, { ...inPart, part: { type: "text", text: text ?? refusal ?? "" } });
      }
      case "response.output_text.delta":
      case "response.refusal.delta":
        return this.send("response.output_text.delta", { ...inPart, delta });
      case "response.output_text.done":
      case "response.refusal.done": {
        const text = event.text ?? event.refusal;
        return this.send("response.output_text.done", { ...inPart, text });
      }
      case "response.function_call_arguments.delta":
        return this.send(name, { ...at, call_id: callId, delta });
      case "response.function_call_arguments.done": {
        const { name: called, arguments: json } = event;
        return this.send(name, { ...at, call_id: callId, name: called, arguments: json });
      }
    }
  }

  private begin(response: Fields): void {
    if (this.responseId !== "") return;
    this.responseId = String(response.id);
    this.send("response.created", { response: this.response("in_progress", null, undefined) });
  }

  private add(given: unknown, item: Fields): void {
    if (item.type !== "message" && item.type !== "function_call") return;
    const index = this.places.size;
    this.places.set(given, { index, callId: item.call_id });
    const shown = realtimeItem(item);
    const previous_item_id = this.host.added(shown);
    const response_id = this.responseId;
    this.send("response.output_item.added", { response_id, output_index: index, item: shown });
    this.send("conversation.item.added", { previous_item_id, item: shown });
  }

  private finish({ index }: Place, item: Fields): void {
    const shown = realtimeItem(item);
    this.output[index] = shown;
    const response_id = this.responseId;
    this.send("response.output_item.done", { response_id, output_index: index, item: shown });
    this.send("conversation.item.done", { item: shown });
    this.host.done(shown);
  }

  private end(status: string, details: unknown, usage: unknown): void {
    if (this.over) return;
    this.over = true;
    this.send("response.done", { response: this.response(status, details, usage) });
  }

  private response(status: string, status_details: unknown, usage: unknown): Fields {
    const { metadata, max_output_tokens, conversation } = this.asked;
    return {
      id: this.responseId,
      object: "realtime.response",
      status,
      status_details,
      output: this.output.filter((item) => item !== undefined),
      conversation_id: conversation,
      output_modalities: ["text"],
      max_output_tokens,
      metadata: metadata ?? null,
      usage: isFields(usage) ? usageOf(usage) : null,
    };
  }

  private send(type: string, fields: Fields): void {
    if (!this.host.box.push(this.host.frame({ type, ...fields }))) this.room = false;
  }
}

/** An item as Realtime shows it, without what only Responses says. */
function realtimeItem(item: Fields): Fields {
  const { id, type, status, call_id, name, arguments: json } = item;
  const head = { id, object: "realtime.item", type, status };
  if (type === "function_call") return { ...head, call_id, name, arguments: json };
  const parts = Array.isArray(item.content) ? item.content.filter(isFields) : [];
  const content = parts.map(({ text, refusal }) => ({
    type: "output_text",
    text: text ?? refusal,
  }));
  return { ...head, role: "assistant", content };
}

function usageOf({ input_tokens, output_tokens, total_tokens, ...details }: Fields): Fields {
  const { cached_tokens } = fieldsOf(details.input_tokens_details);
  return {
    total_tokens,
    input_tokens,
    output_tokens,
    input_token_details: { cached_tokens, text_tokens: input_tokens, audio_tokens: 0 },
    output_token_details: { text_tokens: output_tokens, audio_tokens: 0 },
  };
}
