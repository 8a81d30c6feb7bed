/**
 * One item of a Response as it is written: a message, a thought or a call of a tool. Each knows its
 * frames from "added" to "done" and gives its whole as JSON for the response at the end.
 */
const quote = JSON.stringify;

/** Writes one event; `rest` is what stands behind its type and number. */
export type Emit = (type: string, rest: string) => string;

export type ItemStatus = "completed" | "incomplete";

export interface Item {
  readonly index: number;
  open(): string;
  close(status: ItemStatus): string;
  /** Whole, once it is closed. */
  json: string;
}

/** What all items do: announce themselves and say that they are done. */
abstract class OneItem implements Item {
  readonly index: number;
  json = "";
  protected readonly emit: Emit;
  protected readonly id: string;
  /** `"item_id":..,"output_index":..` of every event of the item. */
  protected readonly at: string;

  constructor(emit: Emit, index: number, id: string) {
    this.emit = emit;
    this.index = index;
    this.id = id;
    this.at = `"item_id":${quote(id)},"output_index":${index}`;
  }

  abstract open(): string;
  abstract close(status: ItemStatus): string;

  protected added(json: string): string {
    return this.emit("response.output_item.added", `"output_index":${this.index},"item":${json}`);
  }

  protected done(json: string): string {
    this.json = json;
    return this.emit("response.output_item.done", `"output_index":${this.index},"item":${json}`);
  }
}

type PartKind = "text" | "refusal";

export function textPart(text: string, logprobs: readonly unknown[] = []): string {
  const proof = `"annotations":[],"logprobs":${quote(logprobs)}`;
  return `{"type":"output_text","text":${quote(text)},${proof}}`;
}

export function refusalPart(text: string): string {
  return `{"type":"refusal","refusal":${quote(text)}}`;
}

export function messageJson(id: string, status: string, parts: readonly string[]): string {
  const head = `"id":${quote(id)},"type":"message","status":"${status}","role":"assistant"`;
  return `{${head},"content":[${parts.join(",")}]}`;
}

export class MessageItem extends OneItem {
  private readonly parts: string[] = [];
  private kind: PartKind | undefined;
  private texts: string[] = [];
  private logprobs: unknown[] = [];

  open(): string {
    return this.added(messageJson(this.id, "in_progress", []));
  }

  say(kind: PartKind, text: string, logprobs: readonly unknown[]): string {
    const before = this.kind === kind ? "" : this.openPart(kind);
    this.texts.push(text);
    if (kind === "refusal")
      return before + this.part("response.refusal.delta", `"delta":${quote(text)}`);
    for (const one of logprobs) this.logprobs.push(one);
    const proof = logprobs.length === 0 ? "[]" : quote(logprobs);
    return (
      before + this.part("response.output_text.delta", `"delta":${quote(text)},"logprobs":${proof}`)
    );
  }

  close(status: ItemStatus): string {
    const before = this.closePart();
    return before + this.done(messageJson(this.id, status, this.parts));
  }

  private part(type: string, rest: string): string {
    return this.emit(type, `${this.at},"content_index":${this.parts.length},${rest}`);
  }

  private openPart(kind: PartKind): string {
    const before = this.closePart();
    this.kind = kind;
    const empty = kind === "text" ? textPart("") : refusalPart("");
    return before + this.part("response.content_part.added", `"part":${empty}`);
  }

  private closePart(): string {
    const { kind, logprobs } = this;
    if (kind === undefined) return "";
    const text = this.texts.join("");
    const part = kind === "text" ? textPart(text, logprobs) : refusalPart(text);
    const done =
      kind === "text"
        ? this.part(
            "response.output_text.done",
            `"text":${quote(text)},"logprobs":${quote(logprobs)}`,
          )
        : this.part("response.refusal.done", `"refusal":${quote(text)}`);
    const closed = done + this.part("response.content_part.done", `"part":${part}`);
    this.parts.push(part);
    this.kind = undefined;
    this.texts = [];
    this.logprobs = [];
    return closed;
  }
}

/** A thought goes out as a summary: what every client of the API can show. */
export function thoughtJson(
  id: string,
  text: string | undefined,
  proof: string | undefined,
): string {
  const summary = text === undefined ? "" : `{"type":"summary_text","text":${quote(text)}}`;
  const sealed = proof === undefined ? "" : `,"encrypted_content":${quote(proof)}`;
  return `{"id":${quote(id)},"type":"reasoning","summary":[${summary}]${sealed}}`;
}

export class ThoughtItem extends OneItem {
  private readonly texts: string[] = [];
  private proof: string | undefined;

  open(): string {
    const part = '"summary_index":0,"part":{"type":"summary_text","text":""}';
    const added = this.added(thoughtJson(this.id, undefined, undefined));
    return added + this.emit("response.reasoning_summary_part.added", `${this.at},${part}`);
  }

  say(text: string): string {
    this.texts.push(text);
    const rest = `${this.at},"summary_index":0,"delta":${quote(text)}`;
    return this.emit("response.reasoning_summary_text.delta", rest);
  }

  sign(proof: string): void {
    this.proof = (this.proof ?? "") + proof;
  }

  close(): string {
    const text = this.texts.join("");
    const at = `${this.at},"summary_index":0`;
    const part = `{"type":"summary_text","text":${quote(text)}}`;
    return (
      this.emit("response.reasoning_summary_text.done", `${at},"text":${quote(text)}`) +
      this.emit("response.reasoning_summary_part.done", `${at},"part":${part}`) +
      this.done(thoughtJson(this.id, text, this.proof))
    );
  }
}

export function callJson(
  id: string,
  call: string,
  name: string,
  json: string,
  status: string,
): string {
  const named = `"call_id":${quote(call)},"name":${quote(name)},"arguments":${quote(json)}`;
  return `{"id":${quote(id)},"type":"function_call",${named},"status":"${status}"}`;
}

export class CallItem extends OneItem {
  private readonly call: string;
  private readonly name: string;
  private readonly pieces: string[] = [];

  constructor(emit: Emit, index: number, id: string, call: string, name: string) {
    super(emit, index, id);
    this.call = call;
    this.name = name;
  }

  open(): string {
    return this.added(callJson(this.id, this.call, this.name, "", "in_progress"));
  }

  argue(json: string): string {
    this.pieces.push(json);
    return this.emit("response.function_call_arguments.delta", `${this.at},"delta":${quote(json)}`);
  }

  close(status: ItemStatus): string {
    const json = this.pieces.join("");
    const rest = `${this.at},"name":${quote(this.name)},"arguments":${quote(json)}`;
    const whole = callJson(this.id, this.call, this.name, json, status);
    return this.emit("response.function_call_arguments.done", rest) + this.done(whole);
  }
}
