/** A request as an OpenAI chat body, for the engines: all of them speak it. */
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

/** Thinking tokens up to which a budget counts as this effort. */
const EFFORTS: readonly [number, string][] = [
  [2_048, "low"],
  [12_288, "medium"],
];

export function chatFromRequest(request: InferenceRequest, strict: boolean): Fields {
  const body: Fields = { model: request.model, messages: request.messages.flatMap(messagesOf) };
  if (strict) for (const message of body.messages as Fields[]) delete message.reasoning_content;
  const set = (name: string, value: unknown): void => {
    if (value !== undefined) body[name] = value;
  };
  if (request.tools.length > 0) body.tools = request.tools.map(chatTool);
  set("tool_choice", toolChoiceOf(request.toolChoice));
  set("parallel_tool_calls", request.parallelTools);
  set("response_format", formatOf(request.format));
  set(strict ? "max_completion_tokens" : "max_tokens", request.maxTokens);
  if (request.choices > 1) body.n = request.choices;
  set("temperature", request.temperature);
  set("top_p", request.topP);
  if (!strict) set("top_k", request.topK);
  set("presence_penalty", request.presencePenalty);
  set("frequency_penalty", request.frequencyPenalty);
  set("seed", request.seed);
  if (request.stop.length > 0) body.stop = request.stop;
  if (request.logprobs !== undefined) body.logprobs = true;
  if (request.logprobs !== undefined) body.top_logprobs = request.logprobs.top;
  set("reasoning_effort", effortOf(request.reasoning));
  set("user", request.user);
  if (request.stream) {
    body.stream = true;
    body.stream_options = { include_usage: true };
  }
  return body;
}

function effortOf(reasoning: InferenceRequest["reasoning"]): string | undefined {
  if (reasoning?.effort !== undefined) return reasoning.effort;
  const budget = reasoning?.budgetTokens;
  if (budget === undefined) return undefined;
  return EFFORTS.find(([most]) => budget <= most)?.[1] ?? "high";
}

export function chatTool(tool: Tool): unknown {
  if (tool.foreign !== undefined) {
    const rule = `is a tool (${tool.name}) that no endpoint of this model can run`;
    throw invalid(tool.foreign.param, rule);
  }
  const { name, description, parameters, strict } = tool;
  return { type: "function", function: { name, description, parameters, strict } };
}

function messagesOf(message: Message): Fields[] {
  const { role, name } = message;
  if (role === "tool") return message.parts.flatMap(resultOf);
  if (role === "assistant") return [assistantOf(message)];
  const content = contentOf(message.parts);
  return [name === undefined ? { role, content } : { role, name, content }];
}

function resultOf(part: Part): Fields[] {
  if (part.type !== "result") return [];
  return [{ role: "tool", tool_call_id: part.id, content: contentOf(part.parts) }];
}

function assistantOf(message: Message): Fields {
  const said = message.parts.filter((part) => part.type === "text" || part.type === "refusal");
  const rest = message.parts.find((part) => part.type === "image" || part.type === "foreign");
  if (rest !== undefined) cannot(rest);
  const content = said.map((part) => part.text).join("");
  const calls = message.parts.flatMap((part) => (part.type === "call" ? [callOf(part)] : []));
  const thought = message.parts.flatMap((part) => (part.type === "reasoning" ? [part.text] : []));
  const body: Fields = { role: "assistant", content };
  if (thought.length > 0) body.reasoning_content = thought.join("");
  if (calls.length === 0) return body;
  body.tool_calls = calls;
  if (content === "") body.content = null;
  return body;
}

function callOf(part: Extract<Part, { type: "call" }>): unknown {
  const called = { name: part.name, arguments: part.arguments };
  return { id: part.id, type: "function", function: called };
}

function contentOf(parts: readonly Part[]): unknown {
  return plainText(parts) ?? parts.map(partOf);
}

function partOf(part: Part): unknown {
  switch (part.type) {
    case "text":
      return { type: "text", text: part.text };
    case "refusal":
      return { type: "text", text: part.text };
    case "image": {
      const { url, detail } = part;
      return { type: "image_url", image_url: detail === undefined ? { url } : { url, detail } };
    }
    case "file":
      return { type: "file", file: { filename: part.name, file_data: part.url } };
    case "audio":
      return { type: "input_audio", input_audio: { data: part.data, format: part.format } };
    default:
      return cannot(part);
  }
}

function cannot(part: Part): never {
  const param = part.type === "foreign" ? part.param : "messages";
  const kind = part.type === "foreign" ? part.kind : part.type;
  throw invalid(param, `has a part (${kind}) that no endpoint of this model understands`);
}

function toolChoiceOf(choice: ToolChoice | undefined): unknown {
  if (choice === undefined) return undefined;
  if (choice.type !== "tool") return choice.type;
  return { type: "function", function: { name: choice.name } };
}

function formatOf(format: OutputFormat | undefined): unknown {
  if (format === undefined || format.type === "text") return undefined;
  if (format.type === "json") return { type: "json_object" };
  const { name, schema, strict, description } = format;
  return { type: "json_schema", json_schema: { name, description, schema, strict } };
}
