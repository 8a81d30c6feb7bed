/** The Response resource of Open Responses, as strictly as its conformance suite reads it. */
import { isFields } from "./scene.ts";

/** What is wrong; none = it passes. */
export type Problems = string[];

/** Must be there, whatever they hold. */
const REQUIRED = (
  "id object created_at completed_at status incomplete_details model previous_response_id " +
  "instructions output error tools tool_choice truncation parallel_tool_calls text top_p " +
  "presence_penalty frequency_penalty top_logprobs temperature reasoning user usage " +
  "max_output_tokens max_tool_calls store background service_tier metadata safety_identifier " +
  "prompt_cache_key"
).split(" ");

const KINDS: Record<string, string> = {
  ...{ id: "string", object: "string", created_at: "integer", status: "string", model: "string" },
  ...{ parallel_tool_calls: "boolean", store: "boolean", background: "boolean" },
  ...{ service_tier: "string", truncation: "string", top_p: "number", temperature: "number" },
  ...{ presence_penalty: "number", frequency_penalty: "number", top_logprobs: "integer" },
  ...{ output: "array", tools: "array", metadata: "object", text: "object" },
};

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (value === null) return "null";
  return Number.isInteger(value) ? "integer" : typeof value;
}

export function responseProblems(value: unknown): Problems {
  if (!isFields(value)) return [`not a response: ${JSON.stringify(value)}`];
  const problems = REQUIRED.filter((name) => !(name in value)).map((name) => `${name}: missing`);
  for (const [name, kind] of Object.entries(KINDS)) {
    const found = kindOf(value[name]);
    if (found !== kind && !(kind === "number" && found === "integer")) {
      problems.push(`${name}: ${found} instead of ${kind}`);
    }
  }
  if (value.object !== "response") problems.push(`object: ${String(value.object)}`);
  // An optional enum: it may be absent, never null.
  if (isFields(value.text) && value.text.verbosity === null) problems.push("text.verbosity: null");
  for (const item of Array.isArray(value.output) ? value.output : []) {
    problems.push(...itemProblems(item));
  }
  if (value.usage !== null) problems.push(...usageProblems(value.usage));
  return problems;
}

function itemProblems(item: unknown): Problems {
  if (!isFields(item) || typeof item.id !== "string") return ["output: an item without an id"];
  if (item.type === "message") {
    const parts = Array.isArray(item.content) ? item.content : [];
    const whole = parts.every(
      (part) =>
        part.type === "refusal" ||
        (typeof part.text === "string" && Array.isArray(part.annotations)),
    );
    const good = whole && item.role === "assistant" && typeof item.status === "string";
    return good ? [] : [`output: ${JSON.stringify(item)}`];
  }
  if (item.type === "function_call") {
    const names = ["call_id", "name", "arguments", "status"];
    const missing = names.filter((name) => typeof item[name] !== "string");
    return missing.map((name) => `output: a function_call without ${name}`);
  }
  if (item.type === "reasoning" && !Array.isArray(item.summary)) return ["output: no summary"];
  return [];
}

export function usageProblems(usage: unknown): Problems {
  if (!isFields(usage)) return ["usage: no object"];
  const input = isFields(usage.input_tokens_details) ? usage.input_tokens_details : {};
  const output = isFields(usage.output_tokens_details) ? usage.output_tokens_details : {};
  const numbers = {
    ...{ input_tokens: usage.input_tokens, output_tokens: usage.output_tokens },
    ...{ total_tokens: usage.total_tokens, cached_tokens: input.cached_tokens },
    reasoning_tokens: output.reasoning_tokens,
  };
  return Object.entries(numbers)
    .filter(([, value]) => !Number.isInteger(value))
    .map(([name]) => `usage.${name}: no integer`);
}
