/** Gemini's tools and how they are chosen: functions come in lists, beside the vendor's own. */
import {
  BODY_LIMITS,
  type Fields,
  fieldsIn,
  invalid,
  isFields,
  kindOf,
  listIn,
  textIn,
} from "../body-fields.ts";
import type { InferenceRequest, Tool, ToolChoice } from "../request.ts";
import { named } from "./gemini-fields.ts";
import { jsonSchemaOf } from "./gemini-schema.ts";

export function toolsOf(value: unknown): Tool[] {
  const tools = listIn(value, "tools", BODY_LIMITS.tools).flatMap((entry, index) => {
    const at = `tools[${index}]`;
    if (!isFields(entry)) throw invalid(at, `must be an object, not ${kindOf(entry)}`);
    const list = named(entry, "functionDeclarations");
    const param = `${at}.functionDeclarations`;
    const functions = listIn(list, param, BODY_LIMITS.tools).map((one, n) =>
      functionOf(one, `${param}[${n}]`),
    );
    return [...functions, ...vendorTools(entry, at)];
  });
  if (tools.length <= BODY_LIMITS.tools) return tools;
  throw invalid("tools", `must have at most ${BODY_LIMITS.tools} functions, not ${tools.length}`);
}

/** googleSearch, codeExecution, urlContext and what is to come: the vendor runs them itself. */
function vendorTools(entry: Fields, at: string): Tool[] {
  return Object.keys(entry)
    .filter((name) => name !== "functionDeclarations" && name !== "function_declarations")
    .map((name) => ({
      name: name.slice(0, 64),
      foreign: { value: { [name]: entry[name] }, param: at },
    }));
}

function functionOf(value: unknown, at: string): Tool {
  const made = fieldsIn(value, at);
  if (made === undefined) throw invalid(at, "must be an object");
  const tool: Tool = { name: textIn(made.name, `${at}.name`) };
  if (typeof made.description === "string") tool.description = made.description;
  const json = named(made, "parametersJsonSchema");
  if (json !== undefined) tool.parameters = json;
  else if (made.parameters !== undefined) {
    tool.parameters = jsonSchemaOf(made.parameters, `${at}.parameters`);
  }
  return tool;
}

type Chosen = Pick<InferenceRequest, "tools" | "toolChoice">;

const AT = "toolConfig.functionCallingConfig";

/** The choice, and the tools that it leaves: names that are not allowed are not offered. */
export function choiceOf(tools: Tool[], value: unknown): Chosen {
  const config = fieldsIn(value, "toolConfig");
  const calling = config && fieldsIn(named(config, "functionCallingConfig"), AT);
  if (calling === undefined) return { tools };
  const names = listIn(
    named(calling, "allowedFunctionNames"),
    `${AT}.allowedFunctionNames`,
    BODY_LIMITS.tools,
  ).map((name, n) => textIn(name, `${AT}.allowedFunctionNames[${n}]`));
  const toolChoice = modeOf(calling.mode, names);
  if (toolChoice?.type !== "required" || names.length === 0) return { tools, toolChoice };
  return { tools: tools.filter(({ name }) => names.includes(name)), toolChoice };
}

function modeOf(mode: unknown, names: readonly string[]): ToolChoice | undefined {
  switch (mode) {
    case undefined:
    case "MODE_UNSPECIFIED":
      return undefined;
    case "AUTO":
    // May call or speak; the vendor checks what it calls against the schema.
    case "VALIDATED":
      return { type: "auto" };
    case "NONE":
      return { type: "none" };
    case "ANY":
      return names.length === 1 ? { type: "tool", name: names[0] } : { type: "required" };
    default:
      throw invalid(`${AT}.mode`, "must be one of AUTO, ANY, NONE, VALIDATED");
  }
}
