/**
 * The Response resource: what a caller asked for comes back in it, with the vendor's defaults for
 * what was left open, as the schema of Open Responses wants every field to be there.
 */
import type { StopReason } from "../event.ts";
import type { Usage } from "../usage.ts";
import type { Fields, WriterOptions } from "./dialect.ts";
import { isFields } from "./fields.ts";

const quote = JSON.stringify;

/** The request's own id makes the response's: what is held under it must be its alone. */
export function ownId(id: string): string {
  return id.replace(/^(req_|resp_)/, "");
}

export interface Ended {
  status: "in_progress" | "completed" | "incomplete";
  /** Why it is incomplete. */
  reason: string | undefined;
}

export const IN_PROGRESS: Ended = { status: "in_progress", reason: undefined };

export function endedBy(reason: StopReason, refused: boolean): Ended {
  switch (reason) {
    case "length":
    case "context":
      return { status: "incomplete", reason: "max_output_tokens" };
    case "filter":
      return { status: "incomplete", reason: "content_filter" };
    case "refusal":
      if (!refused) return { status: "incomplete", reason: "content_filter" };
  }
  return { status: "completed", reason: undefined };
}

/** Makes the resources of one answer: what was asked is written once. */
export class ResponseObject {
  readonly id: string;
  private readonly head: string;
  private readonly echo: string;

  constructor(options: WriterOptions, model: string) {
    this.id = `resp_${ownId(options.id)}`;
    this.head = `{"id":${quote(this.id)},"object":"response","created_at":${options.createdS}`;
    this.echo = echoOf(options.asked, model);
  }

  /** @param output the items as JSON */
  json(
    output: readonly string[],
    ended: Ended,
    usage: Usage | undefined,
    completedS: number,
  ): string {
    const { status, reason } = ended;
    const details = reason === undefined ? "null" : `{"reason":"${reason}"}`;
    const completed = status === "completed" && completedS > 0 ? completedS : null;
    const dated = `"status":"${status}","completed_at":${completed}`;
    const state = `${dated},"incomplete_details":${details},"error":null`;
    const used = usage === undefined ? "null" : quote(usageObject(usage));
    const said = `"output":[${output.join(",")}]`;
    return `${this.head},${state},${said},${this.echo},"usage":${used}}`;
  }
}

export function usageObject(usage: Usage): unknown {
  const { promptTokens, completionTokens, cachedTokens, cacheWriteTokens, reasoningTokens } = usage;
  return {
    input_tokens: promptTokens,
    input_tokens_details: {
      cached_tokens: cachedTokens ?? 0,
      cache_write_tokens: cacheWriteTokens ?? 0,
    },
    output_tokens: completionTokens,
    output_tokens_details: { reasoning_tokens: reasoningTokens ?? 0 },
    total_tokens: promptTokens + completionTokens,
  };
}

/** What is said of a field that the caller left out. */
const DEFAULTS: Fields = {
  background: false,
  frequency_penalty: 0,
  instructions: null,
  max_output_tokens: null,
  max_tool_calls: null,
  metadata: {},
  parallel_tool_calls: true,
  presence_penalty: 0,
  previous_response_id: null,
  prompt_cache_key: null,
  safety_identifier: null,
  service_tier: "default",
  store: true,
  temperature: 1,
  tool_choice: "auto",
  tools: [],
  top_logprobs: 0,
  top_p: 1,
  truncation: "disabled",
  user: null,
};

/** The fields as JSON, without braces. */
function echoOf(asked: Fields, model: string): string {
  const fields: Fields = { model };
  for (const [name, fallback] of Object.entries(DEFAULTS)) fields[name] = asked[name] ?? fallback;
  const text = isFields(asked.text) ? asked.text : {};
  fields.text = { format: text.format ?? { type: "text" } };
  if (typeof text.verbosity === "string")
    Object.assign(fields.text as Fields, { verbosity: text.verbosity });
  const reasoning = isFields(asked.reasoning) ? asked.reasoning : {};
  fields.reasoning = { effort: reasoning.effort ?? null, summary: reasoning.summary ?? null };
  // The strictness of a tool is always said.
  if (Array.isArray(fields.tools)) fields.tools = fields.tools.map(toolEcho);
  return quote(fields).slice(1, -1);
}

function toolEcho(tool: unknown): unknown {
  if (!isFields(tool) || tool.type !== "function") return tool;
  return { strict: false, description: null, parameters: null, ...tool };
}
