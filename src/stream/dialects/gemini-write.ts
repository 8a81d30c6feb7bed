/**
 * Writes Gemini. A function call goes out whole, so its arguments are gathered until it ends. The
 * reasons to stop wait for the end of the stream, since the last event tells them together with
 * the usage, which engines of other dialects say last of all.
 */
import { GridError } from "../../grid/errors.ts";
import type { Answer, AnswerPart, StopReason, StreamEvent } from "../event.ts";
import { EVENT_BYTES_MAX } from "../sse.ts";
import type { Usage } from "../usage.ts";
import type { EventWriter, Fields, WriterOptions } from "./dialect.ts";
import { parseFields } from "./fields.ts";

const FINISH: Readonly<Record<StopReason, string>> = {
  stop: "STOP",
  sequence: "STOP",
  tools: "STOP",
  pause: "STOP",
  length: "MAX_TOKENS",
  context: "MAX_TOKENS",
  filter: "SAFETY",
  refusal: "SAFETY",
};

const quote = JSON.stringify;

/** A call whose arguments are still coming. */
interface OpenCall {
  choice: number;
  tool: number;
  id: string;
  name: string;
  json: string;
}

export class GeminiWriter implements EventWriter {
  private readonly options: WriterOptions;
  private tail = "";
  private readonly open: OpenCall[] = [];
  private readonly reasons = new Map<number, StopReason>();
  private readonly refused = new Set<number>();
  private usage: Usage | undefined;
  private ended = false;

  constructor(options: WriterOptions) {
    this.options = options;
    this.name("", "");
  }

  write(event: StreamEvent): string {
    switch (event.type) {
      case "start":
        this.name(event.id, event.model);
        return "";
      case "text":
        return this.part(event.choice, `"text":${quote(event.text)}`);
      case "reasoning":
        return this.part(event.choice, `"text":${quote(event.text)},"thought":true`);
      case "signature":
        return this.part(
          event.choice,
          `"text":"","thought":true,"thoughtSignature":${quote(event.signature)}`,
        );
      case "refusal":
        this.refused.add(event.choice);
        return this.part(event.choice, `"text":${quote(event.text)}`);
      case "tool":
        this.open.push({ ...event, json: "" });
        return "";
      case "arguments":
        this.gather(event.choice, event.tool, event.json);
        return "";
      case "toolEnd":
        return this.close(({ choice, tool }) => choice === event.choice && tool === event.tool);
      case "stop":
        this.reasons.set(event.choice, event.reason);
        return this.close(({ choice }) => choice === event.choice);
      case "usage":
        this.usage = event.usage;
        return "";
      case "end":
        return this.end();
      default:
        return "";
    }
  }

  private name(id: string, model: string): void {
    const { options } = this;
    const version = quote(model || options.model);
    this.tail = `,"modelVersion":${version},"responseId":${quote(id || options.id)}}\r\n\r\n`;
  }

  /** Calls of the candidate that nobody ended come before what follows them. */
  private part(choice: number, part: string): string {
    const before = this.close((call) => call.choice === choice);
    return before + this.frame(choice, part);
  }

  private frame(choice: number, part: string): string {
    const content = `{"content":{"parts":[{${part}}],"role":"model"},"index":${choice}}`;
    return `data: {"candidates":[${content}]${this.tail}`;
  }

  private gather(choice: number, tool: number, json: string): void {
    const call = this.open.find((one) => one.choice === choice && one.tool === tool);
    if (call === undefined) return;
    call.json += json;
    if (call.json.length <= EVENT_BYTES_MAX) return;
    const message = `The endpoint's tool call has more than ${EVENT_BYTES_MAX} bytes of arguments.`;
    throw new GridError("bad_response", message);
  }

  private close(ends: (call: OpenCall) => boolean): string {
    let frames = "";
    for (let at = 0; at < this.open.length; ) {
      const call = this.open[at];
      if (!ends(call)) {
        at++;
        continue;
      }
      this.open.splice(at, 1);
      frames += this.frame(
        call.choice,
        quote(callObject(call.id, call.name, call.json)).slice(1, -1),
      );
    }
    return frames;
  }

  private end(): string {
    if (this.ended) return "";
    this.ended = true;
    const before = this.close(() => true);
    if (this.reasons.size === 0) this.reasons.set(0, "stop");
    const candidates = [...this.reasons].map(([index, reason]) => ({
      content: { parts: [{ text: "" }], role: "model" },
      finishReason: this.finish(index, reason),
      index,
    }));
    const usage =
      this.usage === undefined ? "" : `,"usageMetadata":${quote(usageObject(this.usage))}`;
    return `${before}data: {"candidates":${quote(candidates)}${usage}${this.tail}`;
  }

  private finish(choice: number, reason: StopReason): string {
    return reason === "stop" && this.refused.has(choice) ? FINISH.refusal : FINISH[reason];
  }
}

function callObject(id: string, name: string, json: string): Fields {
  const args = json.trim() === "" ? {} : parseFields(json);
  if (args !== undefined) return { functionCall: { id, name, args } };
  throw new GridError("bad_response", "The endpoint's tool call has arguments that are no JSON.");
}

export function usageObject(usage: Usage): Fields {
  const { promptTokens, completionTokens, cachedTokens, reasoningTokens } = usage;
  const thoughts = Math.min(reasoningTokens ?? 0, completionTokens);
  const object: Fields = {
    promptTokenCount: promptTokens,
    candidatesTokenCount: completionTokens - thoughts,
    totalTokenCount: promptTokens + completionTokens,
  };
  if (cachedTokens !== undefined) object.cachedContentTokenCount = cachedTokens;
  if (thoughts > 0) object.thoughtsTokenCount = thoughts;
  return object;
}

/** @throws GridError bad_response when a tool call's arguments are no JSON object */
export function writeAnswer(answer: Answer, options: WriterOptions): unknown {
  const candidates = answer.choices.map(({ parts, reason }, index) => {
    const refused = reason === "stop" && parts.some(({ type }) => type === "refusal");
    const content = { parts: parts.map(partObject), role: "model" };
    return { content, finishReason: FINISH[refused ? "refusal" : reason], index };
  });
  const body: Fields = { candidates };
  if (answer.usage !== undefined) body.usageMetadata = usageObject(answer.usage);
  body.modelVersion = answer.model || options.model;
  body.responseId = answer.id || options.id;
  return body;
}

function partObject(part: AnswerPart): Fields {
  switch (part.type) {
    case "text":
    case "refusal":
      return { text: part.text };
    case "reasoning": {
      const { text, signature } = part;
      const thought = { text, thought: true };
      return signature ? { ...thought, thoughtSignature: signature } : thought;
    }
    case "call":
      return callObject(part.id, part.name, part.arguments);
  }
}
