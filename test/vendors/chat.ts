/**
 * OpenAI Chat Completions, Completions, Embeddings and Models as the vendor speaks them: strict in
 * what it reads, exact in what it writes. Reasoning goes out as `reasoning_content`, as vLLM,
 * SGLang and DeepSeek write it; OpenAI itself keeps it to Responses.
 */
import {
  argsAt,
  type Asked,
  type AskedPart,
  type AskedTool,
  type AskedTurn,
  type Fields,
  fieldsAt,
  imageAt,
  joined,
  listAt,
  numberAt,
  onlyKnown,
  Refusal,
  type Scene,
  type Stop,
  textAt,
  type Usage,
  whole,
} from "./scene.ts";
import type { Protocol, Reading, VendorRequest } from "./server.ts";

const KNOWN = (
  "model messages audio frequency_penalty function_call functions logit_bias logprobs " +
  "max_completion_tokens max_tokens metadata modalities moderation n parallel_tool_calls " +
  "prediction presence_penalty prompt_cache_key prompt_cache_options prompt_cache_retention " +
  "reasoning_effort response_format safety_identifier seed service_tier stop store stream " +
  "stream_options temperature tool_choice tools top_logprobs top_p user verbosity " +
  "web_search_options"
).split(" ");

const FINISH: Record<Stop, string> = {
  end: "stop",
  sequence: "stop",
  length: "length",
  calls: "tool_calls",
  filter: "content_filter",
};

export const bearer = ({ headers }: VendorRequest): string | undefined =>
  /^Bearer (.+)$/.exec(headers.authorization ?? "")?.[1];

export function openAiError(refusal: Refusal): unknown {
  const { status, message, param, code } = refusal;
  const types: Record<number, string> = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
  };
  const type = types[status] ?? (status >= 500 ? "server_error" : "invalid_request_error");
  return { error: { message, type, param: param ?? null, code: code ?? null } };
}

/** Rate limits as OpenAI's headers write them. */
export const RATE_HEADERS = {
  "x-ratelimit-limit-requests": "500",
  "x-ratelimit-remaining-requests": "499",
  "x-ratelimit-reset-requests": "120ms",
  "x-ratelimit-limit-tokens": "30000",
  "x-ratelimit-remaining-tokens": "29000",
  "x-ratelimit-reset-tokens": "2s",
};

export const CHAT: Protocol = {
  dialect: "chat",
  key: bearer,
  headers: () => ({ "x-request-id": "req_chat", "openai-processing-ms": "5", ...RATE_HEADERS }),
  errorBody: openAiError,
  errorEvent: (refusal) => [frame(openAiError(refusal))],
  read,
  whole: (scene, asked) => completion(scene, asked),
  events: (scene, asked) => chunks(scene, asked).map(frame).concat("data: [DONE]\n\n"),
};

const frame = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`;

function read(request: VendorRequest): Reading {
  const { method, path, body, models } = request;
  if (method === "GET" && path === "/v1/models") {
    return { kind: "reply", body: { object: "list", data: models.map(modelObject) } };
  }
  if (method === "GET" && path.startsWith("/v1/models/")) {
    return { kind: "reply", body: modelObject(knownModel(path.slice(11), models)) };
  }
  if (method === "POST" && path === "/v1/embeddings") return embeddings(request);
  if (method === "POST" && path === "/v1/chat/completions") {
    return { kind: "generate", asked: readAsked(fieldsAt(body, "body"), models) };
  }
  throw new Refusal(404, `Invalid URL (${method} ${path})`);
}

const modelObject = (id: string) => ({ id, object: "model", created: 1, owned_by: "vendor" });

export function knownModel(value: unknown, models: readonly string[]): string {
  const model = textAt(value, "model");
  if (models.includes(model)) return model;
  const code = "model_not_found";
  throw new Refusal(404, `The model \`${model}\` does not exist.`, { param: "model", code });
}

/** Vectors that depend on the text, so that mixed-up inputs show. */
export function vectorOf(text: string): number[] {
  let sum = 7;
  for (let i = 0; i < text.length; i++) sum = (sum * 31 + text.charCodeAt(i)) % 65_521;
  return [sum / 65_521, text.length / 1_024, 0.5, -0.25];
}

function embeddings({ body, models }: VendorRequest): Reading {
  const fields = fieldsAt(body, "body");
  onlyKnown(fields, ["model", "input", "encoding_format", "dimensions", "user"], unknown);
  const model = knownModel(fields.model, models);
  const inputs = typeof fields.input === "string" ? [fields.input] : listAt(fields.input, "input");
  const data = inputs.map((input, index) => {
    const vector = vectorOf(textAt(input, `input.${index}`));
    const packed = Buffer.from(new Float32Array(vector).buffer).toString("base64");
    const embedding = fields.encoding_format === "base64" ? packed : vector;
    return { object: "embedding", index, embedding };
  });
  const usage = { prompt_tokens: inputs.length, total_tokens: inputs.length };
  return { kind: "reply", body: { object: "list", data, model, usage } };
}

const unknown = (name: string): string => `Unknown parameter: '${name}'.`;

function readAsked(body: Fields, models: readonly string[]): Asked {
  onlyKnown(body, KNOWN, unknown);
  const stop = body.stop ?? [];
  const options = body.stream_options;
  if (options !== undefined && options !== null && body.stream !== true) {
    const message = "'stream_options' is only allowed when 'stream' is enabled.";
    throw new Refusal(400, message, { param: "stream_options" });
  }
  const { system, turns } = readMessages(listAt(body.messages, "messages"));
  const schema = readFormat(body.response_format);
  return {
    model: knownModel(body.model, models),
    stream: body.stream === true,
    ...(system === "" ? {} : { system }),
    turns,
    tools: listAt(body.tools ?? [], "tools").map(readTool),
    ...readChoice(body.tool_choice),
    maxTokens: numberAt(body.max_completion_tokens ?? body.max_tokens, "max_tokens"),
    temperature: numberAt(body.temperature, "temperature"),
    topP: numberAt(body.top_p, "top_p"),
    stops: typeof stop === "string" ? [stop] : listAt(stop, "stop").map((x) => textAt(x, "stop")),
    ...(schema === undefined ? {} : { schema }),
    wantsUsage: (options as Fields | null | undefined)?.include_usage === true,
  };
}

function readFormat(value: unknown): unknown {
  if (value === undefined || value === null) return undefined;
  const format = fieldsAt(value, "response_format");
  if (format.type !== "json_schema") return undefined;
  const { name, schema } = fieldsAt(format.json_schema, "response_format.json_schema");
  textAt(name, "response_format.json_schema.name");
  return schema;
}

function readTool(value: unknown, index: number): AskedTool {
  const tool = fieldsAt(value, `tools[${index}]`);
  if (tool.type !== "function") throw new Refusal(400, "Only function tools are known here.");
  const { name, description, parameters } = fieldsAt(tool.function, `tools[${index}].function`);
  const said = description === undefined ? {} : { description: textAt(description, "description") };
  return { name: textAt(name, `tools[${index}].function.name`), ...said, schema: parameters };
}

function readChoice(value: unknown): Pick<Asked, "choice"> {
  if (value === undefined || value === null) return {};
  if (value === "required") return { choice: "any" };
  if (value === "auto" || value === "none") return { choice: value };
  const { name } = fieldsAt(fieldsAt(value, "tool_choice").function, "tool_choice.function");
  return { choice: { name: textAt(name, "tool_choice.function.name") } };
}

function readMessages(messages: unknown[]): { system: string; turns: AskedTurn[] } {
  const system: string[] = [];
  const turns: AskedTurn[] = [];
  /** Calls that wait for their results, by id. */
  const open = new Map<string, string>();
  for (const [index, value] of messages.entries()) {
    const where = `messages[${index}]`;
    const message = fieldsAt(value, where);
    switch (message.role) {
      case "system":
      case "developer":
        system.push(textOf(message.content, `${where}.content`));
        break;
      case "user":
        turns.push({ role: "user", parts: readParts(message.content, `${where}.content`) });
        break;
      case "assistant":
        turns.push({ role: "assistant", parts: readAssistant(message, where, open) });
        break;
      case "tool":
        turns.push({ role: "tool", parts: [readResult(message, where, open)] });
        break;
      default: {
        const known = "'system', 'assistant', 'user', 'tool', and 'developer'";
        const said = `Invalid value: '${String(message.role)}'. Supported values are: ${known}.`;
        throw new Refusal(400, said, { param: `${where}.role`, code: "invalid_value" });
      }
    }
  }
  return { system: system.join("\n\n"), turns: joined(turns) };
}

function textOf(content: unknown, where: string): string {
  if (typeof content === "string") return content;
  return listAt(content, where)
    .map((part) => textAt(fieldsAt(part, where).text, `${where}.text`))
    .join("");
}

function readParts(content: unknown, where: string): AskedPart[] {
  if (typeof content === "string") return [{ kind: "text", text: content }];
  return listAt(content, where).map((value, n): AskedPart => {
    const part = fieldsAt(value, `${where}[${n}]`);
    if (part.type === "text") return { kind: "text", text: textAt(part.text, `${where}[${n}]`) };
    if (part.type !== "image_url") {
      throw new Refusal(400, `Invalid value: '${String(part.type)}'.`, { param: where });
    }
    const { url } = fieldsAt(part.image_url, `${where}[${n}].image_url`);
    return imageAt(textAt(url, `${where}[${n}].image_url.url`));
  });
}

function readAssistant(message: Fields, where: string, open: Map<string, string>): AskedPart[] {
  const parts: AskedPart[] = [];
  const thought = message.reasoning_content;
  if (typeof thought === "string" && thought !== "") {
    parts.push({ kind: "reasoning", text: thought });
  }
  const { content } = message;
  if (content !== undefined && content !== null && content !== "") {
    parts.push({ kind: "text", text: textOf(content, `${where}.content`) });
  }
  for (const value of listAt(message.tool_calls ?? [], `${where}.tool_calls`)) {
    const call = fieldsAt(value, `${where}.tool_calls`);
    const made = fieldsAt(call.function, `${where}.tool_calls.function`);
    const name = textAt(made.name, `${where}.tool_calls.function.name`);
    open.set(textAt(call.id, `${where}.tool_calls.id`), name);
    const args = argsAt(made.arguments, `${where}.tool_calls.function.arguments`);
    parts.push({ kind: "call", name, args });
  }
  return parts;
}

function readResult(message: Fields, where: string, open: Map<string, string>): AskedPart {
  const name = open.get(textAt(message.tool_call_id, `${where}.tool_call_id`));
  if (name === undefined) {
    const said =
      "messages with role 'tool' must be a response to a preceding message with 'tool_calls'.";
    throw new Refusal(400, `Invalid parameter: ${said}`, { param: `${where}.role` });
  }
  return { kind: "result", name, text: textOf(message.content, `${where}.content`) };
}

export function chatUsage({ input, cached, output, reasoning }: Usage): unknown {
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: cached, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: reasoning, audio_tokens: 0 },
  };
}

function completion({ say, stop, usage }: Scene, { model }: Asked): unknown {
  const textOfKind = (kind: "text" | "reasoning"): string =>
    say.flatMap((one) => (one.kind === kind ? one.pieces : [])).join("");
  const calls = say.flatMap((one) => {
    if (one.kind !== "call") return [];
    const made = { name: one.name, arguments: whole(one.pieces) };
    return [{ id: one.id, type: "function", function: made }];
  });
  const thought = textOfKind("reasoning");
  const message = {
    role: "assistant",
    content: textOfKind("text") || null,
    refusal: null,
    annotations: [],
    ...(thought === "" ? {} : { reasoning_content: thought }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
  const choice = { index: 0, message, logprobs: null, finish_reason: FINISH[stop] };
  const head = { id: "chatcmpl-1", object: "chat.completion", created: 1_790_000_000, model };
  return { ...head, choices: [choice], usage: chatUsage(usage), service_tier: "default" };
}

function chunks({ say, stop, usage }: Scene, { model, wantsUsage }: Asked): unknown[] {
  const head = {
    ...{ id: "chatcmpl-1", object: "chat.completion.chunk", created: 1_790_000_000, model },
    ...{ service_tier: "default", system_fingerprint: "fp_vendor" },
  };
  const chunk = (delta: unknown, finish: string | null = null): unknown => ({
    ...head,
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
    ...(wantsUsage ? { usage: null } : {}),
  });
  const result = [chunk({ role: "assistant", content: "", refusal: null })];
  let index = -1;
  for (const one of say) {
    if (one.kind === "call") {
      const call = { index: ++index, id: one.id, type: "function" };
      const made = { name: one.name, arguments: "" };
      result.push(chunk({ tool_calls: [{ ...call, function: made }] }));
      for (const piece of one.pieces) {
        result.push(chunk({ tool_calls: [{ index, function: { arguments: piece } }] }));
      }
    } else {
      const field = one.kind === "text" ? "content" : "reasoning_content";
      for (const piece of one.pieces) result.push(chunk({ [field]: piece }));
    }
  }
  result.push(chunk({}, FINISH[stop]));
  if (wantsUsage) result.push({ ...head, choices: [], usage: chatUsage(usage) });
  return result;
}
