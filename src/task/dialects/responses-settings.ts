/** What a Responses body says beside the conversation: tools, the answer's form, reasoning. */
import {
  BODY_LIMITS,
  type Fields,
  fieldsIn,
  invalid,
  isFields,
  kindOf,
  listIn,
  stringField,
  textIn,
} from "../body-fields.ts";
import type { InferenceRequest, OutputFormat, Tool, ToolChoice } from "../request.ts";

const LOGPROBS = "message.output_text.logprobs";

export function toolsOf(value: unknown): Tool[] {
  return listIn(value, "tools", BODY_LIMITS.tools).map((entry, index): Tool => {
    const at = `tools[${index}]`;
    if (!isFields(entry)) throw invalid(at, `must be an object, not ${kindOf(entry)}`);
    const type = textIn(entry.type, `${at}.type`);
    if (type !== "function") return { name: type, foreign: { value: entry, param: at } };
    const tool: Tool = { name: textIn(entry.name, `${at}.name`) };
    const parameters = fieldsIn(entry.parameters, `${at}.parameters`);
    if (parameters !== undefined) tool.parameters = parameters;
    if (typeof entry.description === "string") tool.description = entry.description;
    if (typeof entry.strict === "boolean") tool.strict = entry.strict;
    return tool;
  });
}

/** The choice, and the tools that it leaves: `allowed_tools` takes some out. */
export function toolChoiceOf(
  choice: unknown,
  tools: Tool[],
): { tools: Tool[]; choice: ToolChoice | undefined } {
  if (choice === undefined || choice === null) return { tools, choice: undefined };
  if (choice === "auto" || choice === "none" || choice === "required") {
    return { tools, choice: { type: choice } };
  }
  const fields = isFields(choice) ? choice : {};
  if (fields.type === "function") {
    return { tools, choice: { type: "tool", name: textIn(fields.name, "tool_choice.name") } };
  }
  if (fields.type === "allowed_tools") return allowed(fields, tools);
  // A tool that the vendor runs itself: it stands among the tools, and is foreign there.
  if (tools.some(({ name, foreign }) => foreign !== undefined && name === fields.type)) {
    return { tools, choice: undefined };
  }
  throw invalid("tool_choice", "must be auto, none, required, or name one of the tools");
}

function allowed(fields: Fields, tools: Tool[]): { tools: Tool[]; choice: ToolChoice } {
  const names = listIn(fields.tools, "tool_choice.tools", BODY_LIMITS.tools).map((tool) =>
    isFields(tool) ? (tool.name ?? tool.type) : undefined,
  );
  const { mode } = fields;
  if (mode !== "auto" && mode !== "required") {
    throw invalid("tool_choice.mode", "must be auto or required");
  }
  return { tools: tools.filter(({ name }) => names.includes(name)), choice: { type: mode } };
}

export function formatOf(text: Fields | undefined): OutputFormat | undefined {
  const format = fieldsIn(text?.format, "text.format");
  switch (format?.type) {
    case undefined:
      return undefined;
    case "text":
      return { type: "text" };
    case "json_object":
      return { type: "json" };
    case "json_schema": {
      const name = textIn(format?.name, "text.format.name");
      const schema = fieldsIn(format?.schema, "text.format.schema");
      if (schema === undefined) throw invalid("text.format.schema", "is missing");
      const description = stringField(format?.description, "text.format.description", 65_536);
      const base = { type: "schema" as const, name, schema, strict: format?.strict === true };
      return description === undefined ? base : { ...base, description };
    }
    default:
      throw invalid("text.format.type", "must be one of text, json_object, json_schema");
  }
}

export function logprobsOf(body: Fields): InferenceRequest["logprobs"] {
  const top = typeof body.top_logprobs === "number" ? body.top_logprobs : 0;
  const wanted = Array.isArray(body.include) && body.include.includes(LOGPROBS);
  return wanted || top > 0 ? { top } : undefined;
}

export function reasoningOf(reasoning: Fields | undefined): InferenceRequest["reasoning"] {
  const effort = reasoning?.effort;
  return typeof effort === "string" ? { effort } : undefined;
}
