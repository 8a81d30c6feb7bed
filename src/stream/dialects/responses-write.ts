/**
 * Writes OpenAI Responses. What is said goes into items, one open at a time but for calls of tools,
 * which engines may tell side by side; a change of kind closes an item and opens the next. Every
 * event is numbered, and the last one holds the whole.
 */
import type { Answer, AnswerPart, StopReason, StreamEvent } from "../event.ts";
import type { Usage } from "../usage.ts";
import type { EventWriter, WriterOptions } from "./dialect.ts";
import { isFields, listOf } from "./fields.ts";
import {
  CallItem,
  callJson,
  type Item,
  type ItemStatus,
  MessageItem,
  messageJson,
  refusalPart,
  textPart,
  ThoughtItem,
  thoughtJson,
} from "./responses-item.ts";
import { endedBy, IN_PROGRESS, ownId, ResponseObject } from "./responses-object.ts";

export class ResponsesWriter implements EventWriter {
  private readonly options: WriterOptions;
  private response: ResponseObject | undefined;
  private sequence = 0;
  private items = 0;
  private said: MessageItem | ThoughtItem | undefined;
  private readonly calls = new Map<number, CallItem>();
  /** Whole items as JSON, by index. */
  private readonly output: string[] = [];
  private refused = false;
  private reason: StopReason = "stop";
  private usage: Usage | undefined;
  private ended = false;

  constructor(options: WriterOptions) {
    this.options = options;
  }

  write(event: StreamEvent): string {
    // A response has one choice; `n` is never asked for on its behalf.
    if ("choice" in event && event.choice !== 0) return "";
    switch (event.type) {
      case "start":
        return this.start(event.model);
      case "text":
        return this.say("text", event.text, event.logprobs);
      case "refusal":
        this.refused = true;
        return this.say("refusal", event.text, undefined);
      case "reasoning":
        return this.think(event.text);
      case "signature":
        if (this.said instanceof ThoughtItem) this.said.sign(event.signature);
        return "";
      case "tool":
        return this.call(event.tool, event.id, event.name);
      case "arguments":
        return this.calls.get(event.tool)?.argue(event.json) ?? "";
      case "toolEnd":
        return this.callEnd(event.tool, "completed");
      case "stop":
        this.reason = event.reason;
        return "";
      case "usage":
        this.usage = event.usage;
        return "";
      case "end":
        return this.end();
      default:
        return "";
    }
  }

  private readonly emit = (type: string, rest: string): string => {
    const number = this.sequence++;
    return `event: ${type}\ndata: {"type":"${type}","sequence_number":${number},${rest}}\n\n`;
  };

  private start(model: string): string {
    if (this.response !== undefined) return "";
    this.response = new ResponseObject(this.options, model || this.options.model);
    const rest = `"response":${this.response.json([], IN_PROGRESS, undefined, 0)}`;
    return this.emit("response.created", rest) + this.emit("response.in_progress", rest);
  }

  private nextId(prefix: string): string {
    return `${prefix}_${ownId(this.options.id)}_${this.items}`;
  }

  private say(kind: "text" | "refusal", text: string, logprobs: unknown): string {
    let before = "";
    if (!(this.said instanceof MessageItem)) {
      before = this.start("") + this.hush("completed");
      this.said = new MessageItem(this.emit, this.items, this.nextId("msg"));
      this.items++;
      before += this.said.open();
    }
    return before + (this.said as MessageItem).say(kind, text, logprobList(logprobs));
  }

  private think(text: string): string {
    let before = "";
    if (!(this.said instanceof ThoughtItem)) {
      before = this.start("") + this.hush("completed");
      this.said = new ThoughtItem(this.emit, this.items, this.nextId("rs"));
      this.items++;
      before += this.said.open();
    }
    return before + (this.said as ThoughtItem).say(text);
  }

  private call(tool: number, id: string, name: string): string {
    const before = this.start("") + this.hush("completed");
    const item = new CallItem(this.emit, this.items, this.nextId("fc"), id, name);
    this.items++;
    this.calls.set(tool, item);
    return before + item.open();
  }

  private callEnd(tool: number, status: ItemStatus): string {
    const item = this.calls.get(tool);
    if (item === undefined) return "";
    this.calls.delete(tool);
    return this.close(item, status);
  }

  /** Closes what is being said or thought. */
  private hush(status: ItemStatus): string {
    const { said } = this;
    this.said = undefined;
    return said === undefined ? "" : this.close(said, status);
  }

  private close(item: Item, status: ItemStatus): string {
    const frames = item.close(status);
    this.output[item.index] = item.json;
    return frames;
  }

  private end(): string {
    if (this.ended) return "";
    this.ended = true;
    const ended = endedBy(this.reason, this.refused);
    const status = ended.status === "completed" ? "completed" : "incomplete";
    let frames = this.start("") + this.hush(status);
    for (const tool of [...this.calls.keys()]) frames += this.callEnd(tool, status);
    const response = this.response as ResponseObject;
    const rest = `"response":${response.json(this.output, ended, this.usage, 0)}`;
    return frames + this.emit(`response.${ended.status}`, rest);
  }
}

/** Chat's log-probabilities are one object with a list, these are the list. */
function logprobList(logprobs: unknown): readonly unknown[] {
  return isFields(logprobs) ? listOf(logprobs.content) : [];
}

export function writeAnswer(answer: Answer, options: WriterOptions): unknown {
  const { parts, reason, logprobs } = answer.choices[0];
  const refused = parts.some(({ type }) => type === "refusal");
  const ended = endedBy(reason, refused);
  const response = new ResponseObject(options, answer.model || options.model);
  const output = itemsOf(parts, ownId(options.id), logprobList(logprobs));
  // A plain answer is dated when it is done.
  return JSON.parse(response.json(output, ended, answer.usage, options.createdS));
}

function itemsOf(parts: readonly AnswerPart[], id: string, logprobs: readonly unknown[]): string[] {
  const items: string[] = [];
  let content: string[] | undefined;
  const flush = (): void => {
    if (content !== undefined)
      items.push(messageJson(`msg_${id}_${items.length}`, "completed", content));
    content = undefined;
  };
  for (const part of parts) {
    if (part.type === "text" || part.type === "refusal") {
      content ??= [];
      content.push(part.type === "text" ? textPart(part.text, logprobs) : refusalPart(part.text));
      continue;
    }
    flush();
    const n = items.length;
    items.push(
      part.type === "reasoning"
        ? thoughtJson(`rs_${id}_${n}`, part.text, part.signature)
        : callJson(`fc_${id}_${n}`, part.id, part.name, part.arguments, "completed"),
    );
  }
  flush();
  return items;
}
