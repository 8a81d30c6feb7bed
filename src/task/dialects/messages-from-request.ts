/**
 * A request as an Anthropic Messages body. Messages alternate there: what a conversation says
 * several times in a row in one role becomes one message, tool results are blocks of the user's.
 */
import { type Fields, invalid, isFields } from "../body-fields.ts";
import {
  dataUrl,
  type InferenceRequest,
  type Message,
  type Part,
  plainText,
  type Tool,
  type ToolChoice,
} from "../request.ts";

/** Where the caller names no bound, and the dialect must have one. */
const MAX_TOKENS = 4_096;
const EFFORTS = ["low", "medium", "high", "xhigh", "max"];

export function messagesFromRequest(request: InferenceRequest): Fields {
  const body: Fields = {
    model: request.model,
    max_tokens: request.maxTokens ?? MAX_TOKENS,
    messages: messagesOf(request.messages),
  };
  const set = (name: string, value: unknown): void => {
    if (value !== undefined) body[name] = value;
  };
  set("system", systemOf(request.messages));
  if (request.tools.length > 0) body.tools = request.tools.map(toolOf);
  set("tool_choice", toolChoiceOf(request));
  set("output_config", outputConfigOf(request));
  set("thinking", thinkingOf(request));
  // The dialect's scale ends at 1.
  set(
    "temperature",
    request.temperature === undefined ? undefined : Math.min(request.temperature, 1),
  );
  set("top_p", request.topP);
  set("top_k", request.topK);
  // Sequences of white space alone are refused.
  const stops = request.stop.filter((stop) => stop.trim() !== "");
  if (stops.length > 0) body.stop_sequences = stops;
  if (request.user !== undefined) body.metadata = { user_id: request.user };
  if (request.stream) body.stream = true;
  return body;
}

function systemOf(messages: readonly Message[]): string | undefined {
  const texts = messages
    .filter(({ role }) => role === "system")
    .map(({ parts }) => plainText(parts) ?? cannot(parts.find((part) => part.type !== "text")));
  return texts.length === 0 ? undefined : texts.join("\n\n");
}

function messagesOf(messages: readonly Message[]): Fields[] {
  const written: { role: string; content: unknown[] }[] = [];
  for (const message of messages) {
    if (message.role === "system") continue;
    const role = message.role === "assistant" ? "assistant" : "user";
    const blocks = message.parts.flatMap(blocksOf);
    const last = written.at(-1);
    if (last?.role === role) last.content.push(...blocks);
    else written.push({ role, content: blocks });
  }
  return written.filter(({ content }) => content.length > 0);
}

function blocksOf(part: Part): unknown[] {
  switch (part.type) {
    case "text":
    case "refusal":
      // Empty blocks are refused.
      return part.text === "" ? [] : [{ type: "text", text: part.text }];
    case "image":
      return [{ type: "image", source: sourceOf(part.url) }];
    case "file":
      return [{ type: "document", source: sourceOf(part.url), title: part.name }];
    case "call":
      return [{ type: "tool_use", id: part.id, name: part.name, input: inputOf(part) }];
    case "result": {
      const content = plainText(part.parts) ?? part.parts.flatMap(blocksOf);
      const failed = part.failed ? { is_error: true } : {};
      return [{ type: "tool_result", tool_use_id: part.id, content, ...failed }];
    }
    case "reasoning": {
      const { text, signature } = part;
      // Thoughts of another model have no proof: the vendor would refuse them.
      return signature ? [{ type: "thinking", thinking: text, signature }] : [];
    }
    default:
      return cannot(part);
  }
}

function sourceOf(url: string): unknown {
  const inline = dataUrl(url);
  if (inline === undefined) return { type: "url", url };
  return { type: "base64", media_type: inline.mediaType, data: inline.data };
}

function inputOf(part: Extract<Part, { type: "call" }>): unknown {
  if (part.arguments.trim() === "") return {};
  try {
    const input: unknown = JSON.parse(part.arguments);
    if (isFields(input)) return input;
  } catch {
    // Said below.
  }
  const call = `the tool call '${part.id.slice(0, 64)}'`;
  throw invalid("messages", `have ${call} whose arguments are no JSON object`);
}

function cannot(part: Part | undefined): never {
  const foreign = part?.type === "foreign" ? part : undefined;
  const kind = foreign?.kind ?? part?.type;
  const rule = `has a part (${kind}) that no endpoint of this model understands`;
  throw invalid(foreign?.param ?? "messages", rule);
}

function toolOf(tool: Tool): unknown {
  if (tool.foreign !== undefined) {
    const rule = `is a tool (${tool.name}) that no endpoint of this model can run`;
    throw invalid(tool.foreign.param, rule);
  }
  const { name, description, strict } = tool;
  const schema = isFields(tool.parameters) ? tool.parameters : { type: "object", properties: {} };
  return { name, description, input_schema: schema, strict };
}

function toolChoiceOf({ toolChoice, parallelTools, tools }: InferenceRequest): unknown {
  if (tools.length === 0) return undefined;
  const alone = parallelTools === false ? { disable_parallel_tool_use: true } : {};
  if (toolChoice === undefined && parallelTools !== false) return undefined;
  const choice: ToolChoice = toolChoice ?? { type: "auto" };
  if (choice.type === "none") return { type: "none" };
  if (choice.type === "tool") return { type: "tool", name: choice.name, ...alone };
  return { type: choice.type === "required" ? "any" : "auto", ...alone };
}

function outputConfigOf({ format, reasoning }: InferenceRequest): unknown {
  const config: Fields = {};
  if (format?.type === "schema") config.format = { type: "json_schema", schema: format.schema };
  const effort = reasoning?.effort;
  if (effort !== undefined && EFFORTS.includes(effort)) config.effort = effort;
  return Object.keys(config).length === 0 ? undefined : config;
}

function thinkingOf({ reasoning }: InferenceRequest): unknown {
  const budget = reasoning?.budgetTokens;
  return budget === undefined ? undefined : { type: "enabled", budget_tokens: budget };
}
