/**
 * Writes OpenAI Chat Completions. The parts of a chunk that never change are made once per stream,
 * so a token costs one string of its text. Reasoning goes out as `reasoning_content`, the field
 * that vLLM, SGLang and DeepSeek use; OpenAI's own API has none.
 */
import type { Answer, AnswerChoice, StopReason, StreamEvent } from "../event.ts";
import type { Usage } from "../usage.ts";
import type { EventWriter, WriterOptions } from "./dialect.ts";
import { answerId } from "./fields.ts";

const FINISH: Readonly<Record<StopReason, string>> = {
  stop: "stop",
  sequence: "stop",
  length: "length",
  tools: "tool_calls",
  filter: "content_filter",
  refusal: "content_filter",
  pause: "stop",
  context: "length",
};

const quote = JSON.stringify;

export class ChatWriter implements EventWriter {
  private readonly options: WriterOptions;
  private head = "";
  /** `usage` of every chunk but the last, where the caller asked for usage. */
  private readonly tail: string;
  private readonly choices = new Set<number>();
  private usage: Usage | undefined;
  private ended = false;

  constructor(options: WriterOptions) {
    this.options = options;
    this.tail = options.usage ? '],"usage":null}\n\n' : "]}\n\n";
    this.name("", "");
  }

  write(event: StreamEvent): string {
    switch (event.type) {
      case "start":
        this.name(event.id, event.model);
        return this.begin(0);
      case "text":
        return this.delta(event.choice, `"content":${quote(event.text)}`, event.logprobs);
      case "reasoning":
        return this.delta(event.choice, `"reasoning_content":${quote(event.text)}`);
      case "refusal":
        return this.delta(event.choice, `"refusal":${quote(event.text)}`);
      case "tool": {
        const called = `"function":{"name":${quote(event.name)},"arguments":""}`;
        const call = `"id":${quote(event.id)},"type":"function",${called}`;
        return this.delta(event.choice, `"tool_calls":[{"index":${event.tool},${call}}]`);
      }
      case "arguments": {
        const called = `"function":{"arguments":${quote(event.json)}}`;
        return this.delta(event.choice, `"tool_calls":[{"index":${event.tool},${called}}]`);
      }
      case "stop":
        return this.stop(event.choice, event.reason);
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
    const object = '"object":"chat.completion.chunk"';
    const answer = quote(answerId("chatcmpl-", id || options.id));
    const named = `"id":${answer},${object},"created":${options.createdS}`;
    this.head = `data: {${named},"model":${quote(model || options.model)},"choices":[`;
  }

  private begin(choice: number): string {
    if (this.choices.has(choice)) return "";
    this.choices.add(choice);
    return this.chunk(choice, '"role":"assistant","content":""', "null", undefined);
  }

  private delta(choice: number, delta: string, logprobs?: unknown): string {
    const role = this.choices.has(choice) ? "" : this.begin(choice);
    return role + this.chunk(choice, delta, "null", logprobs);
  }

  private stop(choice: number, reason: StopReason): string {
    return this.begin(choice) + this.chunk(choice, "", `"${FINISH[reason]}"`, undefined);
  }

  private chunk(choice: number, delta: string, finish: string, logprobs: unknown): string {
    const proof = logprobs === undefined ? "" : `"logprobs":${quote(logprobs)},`;
    const body = `{"index":${choice},"delta":{${delta}},${proof}"finish_reason":${finish}}`;
    return this.head + body + this.tail;
  }

  private end(): string {
    if (this.ended) return "";
    this.ended = true;
    const { usage } = this;
    const shown = this.options.usage && usage !== undefined;
    const last = shown ? `${this.head}],"usage":${quote(usageObject(usage))}}\n\n` : "";
    return `${last}data: [DONE]\n\n`;
  }
}

export function usageObject(usage: Usage): unknown {
  const { promptTokens, completionTokens, cachedTokens, cacheWriteTokens, reasoningTokens } = usage;
  const object: Record<string, unknown> = {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
  // What the engine does not say is left out, never 0.
  if (cachedTokens !== undefined || cacheWriteTokens !== undefined) {
    const details = { cached_tokens: cachedTokens, cache_write_tokens: cacheWriteTokens };
    object.prompt_tokens_details = details;
  }
  if (reasoningTokens !== undefined) {
    object.completion_tokens_details = { reasoning_tokens: reasoningTokens };
  }
  return object;
}

export function writeAnswer(answer: Answer, options: WriterOptions): unknown {
  const body: Record<string, unknown> = {
    id: answerId("chatcmpl-", answer.id || options.id),
    object: "chat.completion",
    created: options.createdS,
    model: answer.model || options.model,
    choices: answer.choices.map(choiceObject),
  };
  if (answer.usage !== undefined) body.usage = usageObject(answer.usage);
  return body;
}

function choiceObject(choice: AnswerChoice, index: number): unknown {
  const said = (type: "text" | "reasoning" | "refusal"): string | null => {
    const parts = choice.parts.flatMap((part) => (part.type === type ? [part.text] : []));
    return parts.length === 0 ? null : parts.join("");
  };
  const calls = choice.parts.flatMap((part) => {
    if (part.type !== "call") return [];
    const called = { name: part.name, arguments: part.arguments };
    return [{ id: part.id, type: "function", function: called }];
  });
  const text = said("text");
  const message: Record<string, unknown> = {
    role: "assistant",
    content: text ?? (calls.length > 0 || said("refusal") !== null ? null : ""),
    refusal: said("refusal"),
  };
  const reasoning = said("reasoning");
  if (reasoning !== null) message.reasoning_content = reasoning;
  if (calls.length > 0) message.tool_calls = calls;
  const logprobs = choice.logprobs ?? null;
  return { index, message, logprobs, finish_reason: FINISH[choice.reason] };
}
