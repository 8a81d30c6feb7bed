/**
 * An OpenAI chat body as a request. The body was checked when it came (`task/openai.ts`), so what
 * stands here only sorts it; what no other dialect can say becomes `foreign`.
 */
import { type Fields, invalid, isFields } from "../body-fields.ts";
import type {
  InferenceRequest,
  Message,
  OutputFormat,
  Part,
  Tool,
  ToolChoice,
} from "../request.ts";

const text = (value: unknown): string | undefined =>
  typeof value === "string" ? value : undefined;
const number = (value: unknown): number | undefined =>
  typeof value === "number" ? value : undefined;
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {});

export function chatToRequest(body: Fields): InferenceRequest {
  const stop = body.stop;
  const tokens = number(body.max_completion_tokens) ?? number(body.max_tokens);
  const effort = text(body.reasoning_effort);
  return {
    model: String(body.model),
    stream: body.stream === true,
    messages: list(body.messages).flatMap(messageOf),
    tools: toolsOf(body),
    toolChoice: toolChoiceOf(body.tool_choice ?? body.function_call),
    parallelTools: body.parallel_tool_calls === undefined ? undefined : !!body.parallel_tool_calls,
    format: formatOf(body.response_format),
    maxTokens: tokens === undefined || tokens < 0 ? undefined : tokens,
    choices: number(body.n) ?? 1,
    temperature: number(body.temperature),
    topP: number(body.top_p),
    topK: number(body.top_k),
    presencePenalty: number(body.presence_penalty),
    frequencyPenalty: number(body.frequency_penalty),
    seed: number(body.seed),
    stop: typeof stop === "string" ? [stop] : list(stop).map(String),
    logprobs: body.logprobs === true ? { top: number(body.top_logprobs) ?? 0 } : undefined,
    reasoning: effort === undefined ? undefined : { effort },
    user: text(body.user) ?? text(body.safety_identifier),
  };
}

function messageOf(value: unknown, index: number): Message[] {
  const message = fieldsOf(value);
  const at = `messages[${index}]`;
  const name = text(message.name);
  const parts = partsOf(message.content, `${at}.content`);
  const named = (role: Message["role"], given: Part[]): Message[] => [
    name === undefined ? { role, parts: given } : { role, parts: given, name },
  ];
  switch (message.role) {
    case "system":
    case "developer":
      return named("system", parts);
    case "assistant":
      return named("assistant", assistantParts(message, parts));
    case "tool":
    case "function": {
      const id = text(message.tool_call_id) ?? name ?? "";
      return [{ role: "tool", parts: [{ type: "result", id, parts, failed: false }] }];
    }
    default:
      return named("user", parts);
  }
}

function assistantParts(message: Fields, parts: Part[]): Part[] {
  const reasoning = text(message.reasoning_content) ?? text(message.reasoning);
  const refusal = text(message.refusal);
  const calls = list(message.tool_calls).map((value): Part => {
    const call = fieldsOf(value);
    return callOf(text(call.id) ?? "", fieldsOf(call.function));
  });
  if (isFields(message.function_call)) {
    calls.push(callOf(text(message.function_call.name) ?? "", message.function_call));
  }
  return [
    ...(reasoning ? [{ type: "reasoning", text: reasoning } as const] : []),
    ...parts,
    ...(refusal ? [{ type: "refusal", text: refusal } as const] : []),
    ...calls,
  ];
}

function callOf(id: string, called: Fields): Part {
  const given = called.arguments;
  const json = typeof given === "string" ? given : JSON.stringify(given ?? {});
  return { type: "call", id, name: text(called.name) ?? "", arguments: json };
}

function partsOf(content: unknown, at: string): Part[] {
  if (typeof content === "string") return content === "" ? [] : [{ type: "text", text: content }];
  return list(content).map((part, index) => partOf(fieldsOf(part), `${at}[${index}]`));
}

function partOf(part: Fields, param: string): Part {
  switch (part.type) {
    case "text":
      return { type: "text", text: text(part.text) ?? "" };
    case "refusal":
      return { type: "refusal", text: text(part.refusal) ?? "" };
    case "image_url": {
      const image = part.image_url;
      const url = text(image) ?? text(fieldsOf(image).url) ?? "";
      const detail = text(fieldsOf(image).detail);
      return detail === undefined ? { type: "image", url } : { type: "image", url, detail };
    }
    case "input_audio": {
      const audio = fieldsOf(part.input_audio);
      return { type: "audio", data: text(audio.data) ?? "", format: text(audio.format) ?? "" };
    }
    case "file": {
      const file = fieldsOf(part.file);
      const url = text(file.file_data);
      const name = text(file.filename);
      if (url === undefined) break;
      return name === undefined ? { type: "file", url } : { type: "file", url, name };
    }
  }
  return { type: "foreign", kind: String(part.type), value: part, param };
}

function toolsOf(body: Fields): Tool[] {
  const tools = list(body.tools).map((value, index): Tool => {
    const tool = fieldsOf(value);
    if (tool.type === "function") return toolOf(fieldsOf(tool.function));
    return { name: String(tool.type), foreign: { value, param: `tools[${index}]` } };
  });
  return [...tools, ...list(body.functions).map((value) => toolOf(fieldsOf(value)))];
}

function toolOf(described: Fields): Tool {
  const tool: Tool = { name: text(described.name) ?? "" };
  const description = text(described.description);
  if (description !== undefined) tool.description = description;
  if (described.parameters !== undefined) tool.parameters = described.parameters;
  if (typeof described.strict === "boolean") tool.strict = described.strict;
  return tool;
}

function toolChoiceOf(choice: unknown): ToolChoice | undefined {
  if (choice === undefined || choice === null) return undefined;
  if (choice === "auto" || choice === "none" || choice === "required") return { type: choice };
  if (isFields(choice)) {
    const name = text(fieldsOf(choice.function).name) ?? text(choice.name);
    if (name !== undefined) return { type: "tool", name };
  }
  throw invalid("tool_choice", "must be auto, none, required, or name a function");
}

function formatOf(format: unknown): OutputFormat | undefined {
  if (!isFields(format)) return undefined;
  if (format.type === "json_object") return { type: "json" };
  if (format.type !== "json_schema") return { type: "text" };
  const described = fieldsOf(format.json_schema);
  const { name, schema, strict } = described;
  const description = text(described.description);
  const base = { type: "schema", name: text(name) ?? "answer", schema, strict: strict === true };
  return (description === undefined ? base : { ...base, description }) as OutputFormat;
}
