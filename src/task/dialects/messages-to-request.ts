/**
 * An Anthropic Messages body as a request, checked on the way: a wrong role, a part without its
 * fields, a tool result that answers no call is named by its place. What only Anthropic's own API
 * can run (server tools, search results, redacted thinking) becomes `foreign`: it passes to an
 * endpoint of the same dialect untouched and is an error towards any other.
 */
import {
  BODY_LIMITS,
  type Fields,
  fieldsIn,
  invalid,
  isFields,
  kindOf,
  listIn,
  numberField,
  stringField,
  textIn,
} from "../body-fields.ts";
import { checkFields } from "../field-rules.ts";
import type {
  InferenceRequest,
  Message,
  OutputFormat,
  Part,
  Tool,
  ToolChoice,
} from "../request.ts";
import { MESSAGES_FIELDS } from "./messages-fields.ts";

const ROLES = "user, assistant, system";
const TOKENS_MAX = 2 ** 31 - 1;

const numberOf = (value: unknown): number | undefined =>
  typeof value === "number" ? value : undefined;

/** Ids of the tool calls so far: a result must answer one of them. */
type Calls = Set<string>;

/** @throws GridError invalid_request with the place of what is wrong */
export function messagesToRequest(body: Fields): InferenceRequest {
  checkFields(body, MESSAGES_FIELDS);
  const calls: Calls = new Set();
  const choice = fieldsIn(body.tool_choice, "tool_choice");
  const metadata = fieldsIn(body.metadata, "metadata");
  return {
    model: String(body.model),
    stream: body.stream === true,
    messages: [...systemOf(body.system), ...messagesOf(body.messages, calls)],
    tools: toolsOf(body.tools),
    toolChoice: toolChoiceOf(choice),
    parallelTools: choice?.disable_parallel_tool_use === true ? false : undefined,
    format: formatOf(body),
    maxTokens: numberOf(body.max_tokens),
    choices: 1,
    temperature: numberOf(body.temperature),
    topP: numberOf(body.top_p),
    topK: numberOf(body.top_k),
    stop: Array.isArray(body.stop_sequences) ? body.stop_sequences : [],
    reasoning: reasoningOf(body),
    user: stringField(metadata?.user_id, "metadata.user_id", 1_024),
  };
}

function systemOf(system: unknown): Message[] {
  if (system === undefined || system === null || system === "") return [];
  const parts = partsOf(system, "system", new Set());
  const wrong = parts.findIndex((part) => part.type !== "text");
  if (wrong >= 0) throw invalid(`system[${wrong}].type`, "must be text");
  return [{ role: "system", parts }];
}

function messagesOf(value: unknown, calls: Calls): Message[] {
  if (value === undefined || value === null) {
    throw invalid("messages", "is missing: send an array with at least one message");
  }
  const messages = listIn(value, "messages", BODY_LIMITS.messages);
  if (messages.length === 0) throw invalid("messages", "must have at least one message");
  return messages.flatMap((message, index) => messageOf(message, `messages[${index}]`, calls));
}

function messageOf(message: unknown, at: string, calls: Calls): Message[] {
  if (!isFields(message)) throw invalid(at, `must be an object, not ${kindOf(message)}`);
  const { role, content } = message;
  if (role !== "user" && role !== "assistant" && role !== "system") {
    const given = typeof role === "string" ? `'${role.slice(0, 32)}'` : kindOf(role);
    throw invalid(`${at}.role`, `must be one of ${ROLES}, not ${given}`);
  }
  const parts = partsOf(content, `${at}.content`, calls);
  if (role !== "user") return [{ role, parts }];
  // Other dialects have tool results in messages of their own.
  const results = parts.filter((part) => part.type === "result");
  const said = parts.filter((part) => part.type !== "result");
  const messages: Message[] = results.map((part) => ({ role: "tool", parts: [part] }));
  if (said.length > 0 || results.length === 0) messages.push({ role, parts: said });
  return messages;
}

function partsOf(content: unknown, at: string, calls: Calls): Part[] {
  if (typeof content === "string") return [{ type: "text", text: content }];
  if (!Array.isArray(content)) {
    throw invalid(at, `must be a string or an array of content blocks, not ${kindOf(content)}`);
  }
  if (content.length > BODY_LIMITS.parts) {
    throw invalid(at, `must have at most ${BODY_LIMITS.parts} blocks, not ${content.length}`);
  }
  return content.map((block, index) => partOf(block, `${at}[${index}]`, calls));
}

function partOf(block: unknown, at: string, calls: Calls): Part {
  if (!isFields(block)) throw invalid(at, `must be an object, not ${kindOf(block)}`);
  switch (block.type) {
    case "text":
      return { type: "text", text: textIn(block.text, `${at}.text`) };
    case "image":
      return imageOf(block, at);
    case "document":
      return documentOf(block, at);
    case "tool_use": {
      const id = textIn(block.id, `${at}.id`);
      calls.add(id);
      const name = textIn(block.name, `${at}.name`);
      return { type: "call", id, name, arguments: jsonText(block.input ?? {}, `${at}.input`) };
    }
    case "tool_result":
      return resultOf(block, at, calls);
    case "thinking": {
      const text = textIn(block.thinking, `${at}.thinking`);
      return {
        type: "reasoning",
        text,
        signature: textIn(block.signature ?? "", `${at}.signature`),
      };
    }
    default:
      return { type: "foreign", kind: textIn(block.type, `${at}.type`), value: block, param: at };
  }
}

/** The runtime's own walk of a value that is nested too deeply ends in a RangeError. */
function jsonText(value: unknown, at: string): string {
  try {
    return JSON.stringify(value);
  } catch {
    throw invalid(at, "is nested too deeply");
  }
}

function resultOf(block: Fields, at: string, calls: Calls): Part {
  const id = textIn(block.tool_use_id, `${at}.tool_use_id`);
  if (!calls.has(id)) {
    throw invalid(`${at}.tool_use_id`, `'${id.slice(0, 64)}' names no tool_use block before it`);
  }
  const { content } = block;
  const parts =
    content === undefined || content === null ? [] : partsOf(content, `${at}.content`, calls);
  return { type: "result", id, parts, failed: block.is_error === true };
}

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** `source` as a web or data URL; undefined for what only the vendor can look up. */
function sourceUrl(source: Fields, at: string): string | undefined {
  if (source.type === "url") return textIn(source.url, `${at}.url`);
  if (source.type !== "base64") return undefined;
  const mediaType = textIn(source.media_type, `${at}.media_type`);
  const data = textIn(source.data, `${at}.data`);
  if (!BASE64.test(data)) throw invalid(`${at}.data`, "is not base64");
  return `data:${mediaType};base64,${data}`;
}

function imageOf(block: Fields, at: string): Part {
  const source = fieldsIn(block.source, `${at}.source`) ?? {};
  const url = sourceUrl(source, `${at}.source`);
  if (url !== undefined) return { type: "image", url };
  return { type: "foreign", kind: "image", value: block, param: `${at}.source` };
}

function documentOf(block: Fields, at: string): Part {
  const source = fieldsIn(block.source, `${at}.source`) ?? {};
  if (source.type === "text") {
    return { type: "text", text: textIn(source.data, `${at}.source.data`) };
  }
  const url = sourceUrl(source, `${at}.source`);
  if (url === undefined) {
    return { type: "foreign", kind: "document", value: block, param: `${at}.source` };
  }
  return typeof block.title === "string"
    ? { type: "file", url, name: block.title }
    : { type: "file", url };
}

function toolsOf(value: unknown): Tool[] {
  return listIn(value, "tools", BODY_LIMITS.tools).map((entry, index): Tool => {
    const at = `tools[${index}]`;
    if (!isFields(entry)) throw invalid(at, `must be an object, not ${kindOf(entry)}`);
    const type = entry.type ?? "custom";
    if (type !== "custom") return { name: String(type), foreign: { value: entry, param: at } };
    const tool: Tool = { name: textIn(entry.name, `${at}.name`) };
    const schema = fieldsIn(entry.input_schema, `${at}.input_schema`);
    if (schema === undefined) throw invalid(`${at}.input_schema`, "is missing: send a JSON Schema");
    tool.parameters = schema;
    if (typeof entry.description === "string") tool.description = entry.description;
    if (typeof entry.strict === "boolean") tool.strict = entry.strict;
    return tool;
  });
}

function toolChoiceOf(choice: Fields | undefined): ToolChoice | undefined {
  switch (choice?.type) {
    case undefined:
      return undefined;
    case "auto":
    case "none":
      return { type: choice?.type as "auto" | "none" };
    case "any":
      return { type: "required" };
    case "tool":
      return { type: "tool", name: textIn(choice?.name, "tool_choice.name") };
    default:
      throw invalid("tool_choice.type", "must be one of auto, any, tool, none");
  }
}

function formatOf(body: Fields): OutputFormat | undefined {
  const config = fieldsIn(body.output_config, "output_config");
  const format = fieldsIn(config?.format ?? body.output_format, "output_config.format");
  if (format === undefined) return undefined;
  if (format.type !== "json_schema") {
    throw invalid("output_config.format.type", "must be json_schema");
  }
  return { type: "schema", name: "answer", schema: format.schema, strict: true };
}

function reasoningOf(body: Fields): InferenceRequest["reasoning"] {
  const thinking = fieldsIn(body.thinking, "thinking");
  const config = fieldsIn(body.output_config, "output_config");
  const budget = thinking?.type === "enabled" ? thinking.budget_tokens : undefined;
  const budgetTokens = numberField(budget, "thinking.budget_tokens", 1, TOKENS_MAX, true);
  const effort = stringField(config?.effort, "output_config.effort", 32);
  if (budgetTokens === undefined && effort === undefined) return undefined;
  return { effort, budgetTokens };
}
