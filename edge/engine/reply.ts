/**
 * The bytes of an answer in OpenAI's form, streamed and whole. The parts that do not change within
 * a request are made once; a token then costs one concatenation. Shared by both engines.
 */
import type { Generation } from "./openai-api.ts";
import { usageJson } from "./openai-api.ts";
import type { Said } from "./said.ts";

export type Route = "chat" | "completions";

export interface WholeChoice {
  index: number;
  /** Raw text; escaped here. */
  text: string;
  finish: string;
  /** With return_token_ids: of the prompt, and of the text. */
  promptIds?: readonly number[] | undefined;
  ids?: readonly number[];
  /** JSON; undefined = none were asked for. */
  logprobs?: string | undefined;
}

/** What one event has beside its text. */
export interface EventExtras {
  ids?: readonly number[] | undefined;
  promptIds?: readonly number[] | undefined;
  logprobs?: string | undefined;
}

let serial = 0;
/** Unique within the machine's engines: start time, process and a counter. */
const ORIGIN = `${Date.now().toString(36)}${process.pid.toString(36)}`;

/** Fragments of one request's answer. `created` in seconds. */
export class Reply {
  private readonly route: Route;
  /** `{"id":..,"object":..,"created":..,"model":..` without the brace's end. */
  private readonly chunkHead: string;
  private readonly wholeHead: string;
  /** Name of the tool that is called; "" = none is. */
  private readonly tool: string;
  private readonly serial = (serial++).toString(36);

  /** @param said left out: text */
  constructor(route: Route, generation: Generation, created: number, said?: Said) {
    this.route = route;
    this.tool = said?.tool ?? "";
    const isChat = route === "chat";
    const id = `${isChat ? "chatcmpl" : "cmpl"}-${ORIGIN}${this.serial}`;
    const tail = `,"created":${created},"model":${JSON.stringify(generation.model)}`;
    const kind = isChat ? "chat.completion" : "text_completion";
    this.chunkHead = `data: {"id":"${id}","object":"${isChat ? `${kind}.chunk` : kind}"${tail}`;
    this.wholeHead = `{"id":"${id}","object":"${kind}"${tail}`;
  }

  /**
   * What comes before the first token of a choice: the role, on chat only. vLLM tells the prompt's
   * ids there on chat, and in the first choice with text on completions.
   */
  opening(index: number, promptIds?: readonly number[]): string {
    if (this.route !== "chat") return "";
    const delta = '"delta":{"role":"assistant","content":""}';
    const opening = this.chunk(index, delta, "null", idsField("prompt_token_ids", promptIds));
    if (this.tool === "") return opening;
    const called = `"delta":{"tool_calls":[${this.toolCall(index, "")}]}`;
    return opening + this.chunk(index, called, "null");
  }

  /** One event. `escaped` is the inside of a JSON string; `finish` null except on the last. */
  event(index: number, escaped: string, finish: string | null, extras: EventExtras = {}): string {
    const { ids, promptIds, logprobs } = extras;
    const reason = finish === null ? "null" : `"${finish}"`;
    const isChat = this.route === "chat";
    const prompt = isChat ? "" : idsField("prompt_token_ids", promptIds);
    const content = this.content(escaped) + idsField("token_ids", ids) + prompt;
    return this.chunk(index, content, reason, "", logprobs);
  }

  usageEvent(prompt: number, completion: number, cached: number): string {
    return `${this.chunkHead},"choices":[],"usage":${usageJson(prompt, completion, cached)}}\n\n`;
  }

  whole(
    choices: readonly WholeChoice[],
    prompt: number,
    completion: number,
    cached: number,
  ): string {
    const usage = usageJson(prompt, completion, cached);
    const list = choices.map((choice) => this.wholeChoice(choice)).join(",");
    const isChat = this.route === "chat";
    const ids = isChat ? idsField("prompt_token_ids", choices[0]?.promptIds) : "";
    return `${this.wholeHead},"choices":[${list}],"usage":${usage}${ids}}`;
  }

  private content(escaped: string): string {
    if (this.route !== "chat") return `"text":"${escaped}"`;
    if (this.tool === "") return `"delta":{"content":"${escaped}"}`;
    return `"delta":{"tool_calls":[{"index":0,"function":{"arguments":"${escaped}"}}]}`;
  }

  /** @param escaped the arguments so far, as the inside of a JSON string */
  private toolCall(index: number, escaped: string): string {
    const called = `{"name":${JSON.stringify(this.tool)},"arguments":"${escaped}"}`;
    const id = `chatcmpl-tool-${ORIGIN}${this.serial}-${index}`;
    return `{"index":0,"id":"${id}","type":"function","function":${called}}`;
  }

  private chunk(
    index: number,
    content: string,
    finish: string,
    more = "",
    logprobs = "null",
  ): string {
    const end = `"logprobs":${logprobs},"finish_reason":${finish}}`;
    const choice = `{"index":${index},${content},${end}`;
    return `${this.chunkHead},"choices":[${choice}]${more}}\n\n`;
  }

  private wholeChoice(choice: WholeChoice): string {
    const { index, text, finish, ids, promptIds, logprobs = "null" } = choice;
    const more = idsField("token_ids", ids);
    const content = this.wholeContent(index, text, promptIds);
    const end = `"logprobs":${logprobs},"finish_reason":"${finish}"}`;
    return `{"index":${index},${content}${more},${end}`;
  }

  private wholeContent(index: number, text: string, promptIds?: readonly number[]): string {
    const quoted = JSON.stringify(text);
    if (this.route !== "chat") {
      return `"text":${quoted}${idsField("prompt_token_ids", promptIds)}`;
    }
    if (this.tool === "") return `"message":{"role":"assistant","content":${quoted}}`;
    const call = this.toolCall(index, quoted.slice(1, -1)).replace('{"index":0,', "{");
    return `"message":{"role":"assistant","content":null,"tool_calls":[${call}]}`;
  }
}

function idsField(name: string, ids: readonly number[] | undefined): string {
  return ids === undefined ? "" : `,"${name}":[${ids.join(",")}]`;
}

export const DONE_EVENT = "data: [DONE]\n\n";
export const STREAM_HEADERS = [
  "content-type",
  "text/event-stream; charset=utf-8",
  "cache-control",
  "no-cache",
];
