/**
 * What form the emulated engine's answer has: filler, JSON of the schema that was asked for, or a
 * call of a tool that was offered. Like the filler it follows from the request alone. A model would
 * choose; this one calls the first tool whenever it may and the user has just spoken, and speaks
 * once the tool has answered, so that a loop of an agent comes to its end.
 */
import { badRequest } from "./http.ts";
import { instanceOf } from "./json-instance.ts";
import { type Body, isFields, optional } from "./openai-api.ts";

export interface Said {
  kind: "text" | "json" | "call";
  /** Undefined for filler, which has no end. */
  json: string | undefined;
  /** Name of the called tool. */
  tool: string;
  /** Top log probabilities per token; undefined = none are asked for. */
  logprobs: number | undefined;
}

const LOGPROBS_MAX = 20;
const isList = (value: unknown): value is unknown[] => Array.isArray(value);

/** @throws ApiError 400 naming the field */
export function readSaid(route: "chat" | "completions", body: Body): Said {
  const logprobs = route === "chat" ? chatLogprobs(body) : count(body, "logprobs");
  const text: Said = { kind: "text", json: undefined, tool: "", logprobs };
  if (route !== "chat") return text;
  const called = calledTool(body);
  if (called !== undefined) {
    const json = JSON.stringify(instanceOf(called.parameters ?? {}));
    return { ...text, kind: "call", json, tool: called.name };
  }
  const schema = wantedSchema(body);
  return schema === undefined
    ? text
    : { ...text, kind: "json", json: JSON.stringify(instanceOf(schema)) };
}

function chatLogprobs(body: Body): number | undefined {
  const isFlag = (value: unknown): value is boolean => typeof value === "boolean";
  const wanted = optional(body, "logprobs", isFlag, "a boolean") === true;
  const top = count(body, "top_logprobs");
  if (wanted) return top ?? 0;
  if (top === undefined) return undefined;
  throw badRequest("top_logprobs needs logprobs to be true", "top_logprobs");
}

function count(body: Body, field: string): number | undefined {
  const fits = (value: unknown): value is number =>
    Number.isInteger(value) && Number(value) >= 0 && Number(value) <= LOGPROBS_MAX;
  return optional(body, field, fits, `a whole number from 0 to ${LOGPROBS_MAX}`);
}

interface Tool {
  name: string;
  parameters: unknown;
}

function calledTool(body: Body): Tool | undefined {
  const tools = (optional(body, "tools", isList, "an array") ?? []).map(toolOf);
  const choice = body.tool_choice ?? "auto";
  if (tools.length === 0 || choice === "none") return undefined;
  if (choice === "required") return tools[0];
  if (isFields(choice)) {
    const name = isFields(choice.function) ? choice.function.name : undefined;
    const named = tools.find((tool) => tool.name === name);
    if (named !== undefined) return named;
    throw badRequest(`tool_choice names no tool of the request: ${String(name)}`, "tool_choice");
  }
  if (choice !== "auto") {
    throw badRequest("tool_choice must be auto, none, required, or a function", "tool_choice");
  }
  const last = isList(body.messages) ? body.messages.at(-1) : undefined;
  return isFields(last) && last.role === "user" ? tools[0] : undefined;
}

function toolOf(tool: unknown, index: number): Tool {
  const described = isFields(tool) && isFields(tool.function) ? tool.function : {};
  const { name, parameters } = described;
  if (typeof name === "string" && name !== "") return { name, parameters };
  throw badRequest("each tool must be a function with a name", `tools[${index}].function.name`);
}

function wantedSchema(body: Body): unknown {
  const format = optional(body, "response_format", isFields, "an object");
  if (format?.type === "json_object") return { properties: { emulated: { const: true } } };
  if (format?.type !== "json_schema") return undefined;
  const described = isFields(format.json_schema) ? format.json_schema : {};
  if (isFields(described.schema)) return described.schema;
  throw badRequest("response_format.json_schema.schema must be an object", "response_format");
}
