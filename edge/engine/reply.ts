/**
 * The bytes of an answer in OpenAI's form, streamed and whole. The parts that do not change within
 * a request are made once; a token then costs one concatenation. Shared by both engines.
 */
import type { Generation } from "./openai-api.ts";
import { usageJson } from "./openai-api.ts";

export type Route = "chat" | "completions";

export interface WholeChoice {
  index: number;
  /** Raw text; escaped here. */
  text: string;
  finish: string;
  /** With return_token_ids: of the prompt, and of the text. */
  promptIds?: readonly number[] | undefined;
  ids?: readonly number[];
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

  constructor(route: Route, generation: Generation, created: number) {
    this.route = route;
    const isChat = route === "chat";
    const id = `${isChat ? "chatcmpl" : "cmpl"}-${ORIGIN}${(serial++).toString(36)}`;
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
    return this.chunk(index, delta, "null", idsField("prompt_token_ids", promptIds));
  }

  /** One event. `escaped` is the inside of a JSON string; `finish` null except on the last. */
  event(
    index: number,
    escaped: string,
    finish: string | null,
    ids?: readonly number[],
    promptIds?: readonly number[],
  ): string {
    const reason = finish === null ? "null" : `"${finish}"`;
    const isChat = this.route === "chat";
    const content = isChat ? `"delta":{"content":"${escaped}"}` : `"text":"${escaped}"`;
    const prompt = isChat ? "" : idsField("prompt_token_ids", promptIds);
    return this.chunk(index, content + idsField("token_ids", ids) + prompt, reason);
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

  private chunk(index: number, content: string, finish: string, more = ""): string {
    const choice = `{"index":${index},${content},"logprobs":null,"finish_reason":${finish}}`;
    return `${this.chunkHead},"choices":[${choice}]${more}}\n\n`;
  }

  private wholeChoice({ index, text, finish, ids, promptIds }: WholeChoice): string {
    const quoted = JSON.stringify(text);
    const content =
      this.route === "chat"
        ? `"message":{"role":"assistant","content":${quoted}}`
        : `"text":${quoted}${idsField("prompt_token_ids", promptIds)}`;
    const more = idsField("token_ids", ids);
    return `{"index":${index},${content}${more},"logprobs":null,"finish_reason":"${finish}"}`;
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
