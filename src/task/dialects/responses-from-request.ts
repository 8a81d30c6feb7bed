/**
 * A request as an OpenAI Responses body: each thing that a message says becomes an item. Nothing is
 * stored at the engine, since the whole conversation comes with every request. The API has no stop
 * sequences, no `top_k` and no seed: they are wishes that it leaves unheard.
 */
import { type Fields, invalid } from "../body-fields.ts";
import {
  type InferenceRequest,
  type Message,
  type OutputFormat,
  type Part,
  plainText,
  type Tool,
  type ToolChoice,
} from "../request.ts";

/** OpenAI's own least; a smaller wish is refused there. */
const MAX_TOKENS_MIN = 16;
/** Thinking tokens up to which a budget counts as this effort. */
const EFFORTS: readonly [number, string][] = [
  [2_048, "low"],
  [12_288, "medium"],
];

export function responsesFromRequest(request: InferenceRequest): Fields {
  const body: Fields = {
    model: request.model,
    input: request.messages.flatMap(itemsOf),
    store: false,
  };
  const set = (name: string, value: unknown): void => {
    if (value !== undefined) body[name] = value;
  };
  if (request.tools.length > 0) body.tools = request.tools.map(toolOf);
  set("tool_choice", toolChoiceOf(request.toolChoice));
  set("parallel_tool_calls", request.parallelTools);
  const format = formatOf(request.format);
  if (format !== undefined) body.text = { format };
  const { maxTokens, logprobs } = request;
  set(
    "max_output_tokens",
    maxTokens === undefined ? undefined : Math.max(maxTokens, MAX_TOKENS_MIN),
  );
  set("temperature", request.temperature);
  set("top_p", request.topP);
  if (logprobs !== undefined) {
    body.top_logprobs = logprobs.top;
    body.include = ["message.output_text.logprobs"];
  }
  const effort = effortOf(request.reasoning);
  if (effort !== undefined) body.reasoning = { effort };
  set("safety_identifier", request.user);
  if (request.stream) body.stream = true;
  return body;
}

function effortOf(reasoning: InferenceRequest["reasoning"]): string | undefined {
  if (reasoning?.effort !== undefined) return reasoning.effort;
  const budget = reasoning?.budgetTokens;
  if (budget === undefined) return undefined;
  return EFFORTS.find(([most]) => budget <= most)?.[1] ?? "high";
}

function itemsOf({ role, parts }: Message): Fields[] {
  if (role === "tool") return parts.flatMap(resultOf);
  if (role === "assistant") return assistantItems(parts);
  return [{ type: "message", role, content: plainText(parts) ?? parts.map(inputPart) }];
}

function resultOf(part: Part): Fields[] {
  if (part.type !== "result") return [];
  const output = plainText(part.parts) ?? part.parts.map(inputPart);
  return [{ type: "function_call_output", call_id: part.id, output }];
}

function assistantItems(parts: readonly Part[]): Fields[] {
  const items: Fields[] = [];
  let content: Fields[] | undefined;
  const say = (part: Fields): void => {
    if (content === undefined) {
      content = [];
      items.push({ type: "message", role: "assistant", content });
    }
    content.push(part);
  };
  for (const part of parts) {
    if (part.type === "text") say({ type: "output_text", text: part.text, annotations: [] });
    else if (part.type === "refusal") say({ type: "refusal", refusal: part.text });
    else {
      content = undefined;
      items.push(...itemOf(part));
    }
  }
  return items;
}

function itemOf(part: Part): Fields[] {
  if (part.type === "call") {
    const { id: call_id, name } = part;
    return [{ type: "function_call", call_id, name, arguments: part.arguments }];
  }
  if (part.type !== "reasoning") return cannot(part);
  // The vendor takes thoughts back with their proof only.
  if (part.signature === undefined) return [];
  const summary = part.text === "" ? [] : [{ type: "summary_text", text: part.text }];
  return [{ type: "reasoning", summary, encrypted_content: part.signature }];
}

function inputPart(part: Part): Fields {
  switch (part.type) {
    case "text":
    case "refusal":
      return { type: "input_text", text: part.text };
    case "image":
      return { type: "input_image", image_url: part.url, detail: part.detail ?? "auto" };
    case "file": {
      const place = part.url.startsWith("data:") ? "file_data" : "file_url";
      const name = part.name === undefined ? {} : { filename: part.name };
      return { type: "input_file", [place]: part.url, ...name };
    }
    case "audio":
      return { type: "input_audio", input_audio: { data: part.data, format: part.format } };
    default:
      return cannot(part);
  }
}

function cannot(part: Part): never {
  const foreign = part.type === "foreign" ? part : undefined;
  const kind = foreign?.kind ?? part.type;
  const rule = `has a part (${kind}) that no endpoint of this model understands`;
  throw invalid(foreign?.param ?? "messages", rule);
}

function toolOf(tool: Tool): unknown {
  if (tool.foreign !== undefined) {
    const rule = `is a tool (${tool.name}) that no endpoint of this model can run`;
    throw invalid(tool.foreign.param, rule);
  }
  const { name, description, parameters, strict } = tool;
  // Left out, OpenAI makes it strict, which other dialects do not.
  return {
    type: "function",
    name,
    description,
    parameters: parameters ?? null,
    strict: strict ?? false,
  };
}

function toolChoiceOf(choice: ToolChoice | undefined): unknown {
  if (choice === undefined) return undefined;
  return choice.type === "tool" ? { type: "function", name: choice.name } : choice.type;
}

function formatOf(format: OutputFormat | undefined): unknown {
  if (format === undefined || format.type === "text") return undefined;
  if (format.type === "json") return { type: "json_object" };
  const { name, schema, strict, description } = format;
  return { type: "json_schema", name, description, schema, strict };
}
