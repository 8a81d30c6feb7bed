/**
 * OpenAI Responses over HTTP and SSE as the vendor speaks them. The events are made by one
 * function, which the WebSocket of `responses-socket.ts` uses too; `vendors.ts` puts both together.
 */
import { bearer, CHAT, knownModel, openAiError, RATE_HEADERS } from "./chat.ts";
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
  type Say,
  type Scene,
  textAt,
  type Usage,
  whole,
} from "./scene.ts";
import type { Protocol, Reading, VendorRequest } from "./server.ts";

export const KNOWN = (
  "model input access_programs background context_management conversation image include " +
  "instructions max_output_tokens max_tool_calls metadata moderation parallel_tool_calls " +
  "previous_response_id prompt prompt_cache_key prompt_cache_options prompt_cache_retention " +
  "reasoning safety_identifier service_tier store stream stream_options temperature text " +
  "tool_choice tools top_logprobs top_p truncation user"
).split(" ");

export const RESPONSES: Protocol = {
  dialect: "responses",
  key: bearer,
  headers: () => ({ "x-request-id": "req_responses", ...RATE_HEADERS }),
  errorBody: openAiError,
  errorEvent: ({ message }, { model }) => {
    const error = { code: "server_error", message };
    const response = { ...skeleton(model), status: "failed", error };
    return [frame({ type: "response.failed", sequence_number: 999, response })];
  },
  read,
  whole: (scene, asked) => finished(scene, asked),
  events: (scene, asked) => responseEvents(scene, asked).map(frame),
};

const frame = (event: Fields): string => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;

function read(request: VendorRequest): Reading {
  const { method, path, body, models } = request;
  if (method === "POST" && path === "/v1/responses") {
    return { kind: "generate", asked: readResponse(fieldsAt(body, "body"), models) };
  }
  if (method === "POST" && path === "/v1/responses/compact") {
    return { kind: "reply", body: compact(fieldsAt(body, "body"), models) };
  }
  // Models and embeddings are the same for both of OpenAI's protocols.
  if (path === "/v1/chat/completions") throw new Refusal(404, `Invalid URL (${method} ${path})`);
  return CHAT.read(request);
}

/** What was said so far as one opaque item, which the next request may hold in its place. */
function compact(body: Fields, models: readonly string[]): unknown {
  const { turns } = readResponse(body, models);
  const kept = listAt(body.input, "input").filter(
    (item) => fieldsAt(item, "input").role === "user",
  );
  const sealed = Buffer.from(JSON.stringify(turns)).toString("base64");
  const item = { id: "cmp_1", type: "compaction", encrypted_content: sealed };
  const usage = usageOf({ input: 20, cached: 0, output: 8, reasoning: 0 });
  const head = { id: "resp_cmp_1", object: "response.compaction", created_at: 1_790_000_000 };
  return { ...head, output: [...kept, item], usage };
}

function unseal(item: Fields, where: string): AskedTurn[] {
  const sealed = textAt(item.encrypted_content, `${where}.encrypted_content`);
  try {
    return JSON.parse(Buffer.from(sealed, "base64").toString()) as AskedTurn[];
  } catch {
    throw new Refusal(400, "The encrypted content could not be verified.", { param: where });
  }
}

const unknown = (name: string): string => `Unknown parameter: '${name}'.`;

export function readResponse(body: Fields, models: readonly string[]): Asked {
  onlyKnown(body, KNOWN, unknown);
  const model = knownModel(body.model, models);
  const input = body.input ?? [];
  const items = typeof input === "string" ? [message("user", input)] : listAt(input, "input");
  const { system, turns } = readItems(items);
  const all = [body.instructions, ...system].filter((x) => typeof x === "string" && x !== "");
  const schema = readFormat(body.text);
  return {
    model,
    stream: body.stream === true,
    ...(all.length === 0 ? {} : { system: all.join("\n\n") }),
    turns,
    tools: listAt(body.tools ?? [], "tools").map(readTool),
    ...readChoice(body.tool_choice),
    maxTokens: numberAt(body.max_output_tokens, "max_output_tokens"),
    temperature: numberAt(body.temperature, "temperature"),
    topP: numberAt(body.top_p, "top_p"),
    stops: [],
    ...(schema === undefined ? {} : { schema }),
    wantsUsage: true,
  };
}

const message = (role: string, content: string): Fields => ({ type: "message", role, content });

function readFormat(value: unknown): unknown {
  if (value === undefined || value === null) return undefined;
  const { format } = fieldsAt(value, "text");
  if (format === undefined) return undefined;
  const { type, name, schema } = fieldsAt(format, "text.format");
  if (type !== "json_schema") return undefined;
  textAt(name, "text.format.name");
  return schema;
}

function readTool(value: unknown, index: number): AskedTool {
  const tool = fieldsAt(value, `tools[${index}]`);
  if (tool.type !== "function") throw new Refusal(400, "Only function tools are known here.");
  const { description } = tool;
  const said = typeof description === "string" ? { description } : {};
  return { name: textAt(tool.name, `tools[${index}].name`), ...said, schema: tool.parameters };
}

function readChoice(value: unknown): Pick<Asked, "choice"> {
  if (value === undefined || value === null) return {};
  if (value === "required") return { choice: "any" };
  if (value === "auto" || value === "none") return { choice: value };
  return { choice: { name: textAt(fieldsAt(value, "tool_choice").name, "tool_choice.name") } };
}

function readItems(items: unknown[]): { system: string[]; turns: AskedTurn[] } {
  const system: string[] = [];
  const turns: AskedTurn[] = [];
  const open = new Map<string, string>();
  for (const [index, value] of items.entries()) {
    const where = `input[${index}]`;
    const item = fieldsAt(value, where);
    switch (item.type ?? "message") {
      case "message":
        readMessage(item, where, system, turns);
        break;
      case "function_call": {
        const name = textAt(item.name, `${where}.name`);
        open.set(textAt(item.call_id, `${where}.call_id`), name);
        const args = argsAt(item.arguments, `${where}.arguments`);
        turns.push({ role: "assistant", parts: [{ kind: "call", name, args }] });
        break;
      }
      case "function_call_output": {
        const id = textAt(item.call_id, `${where}.call_id`);
        const name = open.get(id);
        if (name === undefined) {
          const said = `No tool call found for function call output with call_id ${id}.`;
          throw new Refusal(400, said, { param: "input" });
        }
        const text = textOf(item.output, `${where}.output`);
        turns.push({ role: "tool", parts: [{ kind: "result", name, text }] });
        break;
      }
      case "compaction":
        turns.push(...unseal(item, where));
        break;
      case "reasoning":
        turns.push({ role: "assistant", parts: readReasoning(item, where) });
        break;
      default: {
        const said = `Invalid value: '${String(item.type)}'.`;
        throw new Refusal(400, said, { param: `${where}.type`, code: "invalid_value" });
      }
    }
  }
  return { system, turns: joined(turns.filter(({ parts }) => parts.length > 0)) };
}

function readMessage(item: Fields, where: string, system: string[], turns: AskedTurn[]): void {
  const { role, content } = item;
  if (role === "system" || role === "developer") {
    system.push(textOf(content, `${where}.content`));
  } else if (role === "user" || role === "assistant") {
    turns.push({ role, parts: readParts(content, `${where}.content`, role) });
  } else {
    const known = "'assistant', 'system', 'developer', and 'user'";
    const said = `Invalid value: '${String(role)}'. Supported values are: ${known}.`;
    throw new Refusal(400, said, { param: `${where}.role`, code: "invalid_value" });
  }
}

function readReasoning(item: Fields, where: string): AskedPart[] {
  const content = listAt(item.content ?? [], `${where}.content`);
  const parts = content.length > 0 ? content : listAt(item.summary ?? [], `${where}.summary`);
  const text = parts.map((part) => textAt(fieldsAt(part, where).text, where)).join("");
  return text === "" ? [] : [{ kind: "reasoning", text }];
}

function textOf(content: unknown, where: string): string {
  if (typeof content === "string") return content;
  return listAt(content, where)
    .map((part) => textAt(fieldsAt(part, where).text, `${where}.text`))
    .join("");
}

/** The caller's parts are `input_*`, the model's own `output_text`; the vendor is strict here. */
function readParts(content: unknown, where: string, role: "user" | "assistant"): AskedPart[] {
  if (typeof content === "string") return [{ kind: "text", text: content }];
  return listAt(content, where).map((value, n): AskedPart => {
    const part = fieldsAt(value, `${where}[${n}]`);
    const textType = role === "user" ? "input_text" : "output_text";
    if (part.type === textType) return { kind: "text", text: textAt(part.text, where) };
    if (part.type === "input_image" && role === "user") {
      return imageAt(textAt(part.image_url, `${where}[${n}].image_url`));
    }
    const said = `Invalid value: '${String(part.type)}'.`;
    throw new Refusal(400, said, { param: `${where}[${n}].type`, code: "invalid_value" });
  });
}

function usageOf({ input, cached, output, reasoning }: Usage): unknown {
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: cached, cache_write_tokens: 0 },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: reasoning },
    total_tokens: input + output,
  };
}

let responses = 0;
/** No two responses of a vendor have one id. */
const nextId = (): string => `resp_${++responses}`;

/** All that a Response has to have, before anything is said. */
export function skeleton(model: string, id = nextId()): Fields {
  return {
    ...{ id, object: "response", created_at: 1_790_000_000, status: "in_progress" },
    ...{ background: false, completed_at: null, error: null, incomplete_details: null },
    ...{ instructions: null, max_output_tokens: null, max_tool_calls: null, model, output: [] },
    ...{ parallel_tool_calls: true, previous_response_id: null, prompt_cache_key: null },
    ...{ reasoning: { effort: null, summary: null }, safety_identifier: null },
    ...{ service_tier: "default", store: false, temperature: 1, presence_penalty: 0 },
    ...{ frequency_penalty: 0, text: { format: { type: "text" } }, tool_choice: "auto" },
    ...{ tools: [], top_logprobs: 0, top_p: 1, truncation: "disabled", usage: null },
    ...{ user: null, metadata: {} },
  };
}

const KINDS = { text: "message", reasoning: "reasoning", call: "function_call" } as const;
const PREFIX = { text: "msg", reasoning: "rs", call: "fc" } as const;

function itemOf(one: Say, n: number, status: "in_progress" | "completed"): Fields {
  const head = { id: `${PREFIX[one.kind]}_${n}`, type: KINDS[one.kind] };
  const done = status === "completed";
  const text = done ? whole(one.pieces) : "";
  if (one.kind === "call") {
    return { ...head, call_id: one.id, name: one.name, arguments: text, status };
  }
  if (one.kind === "reasoning") {
    return { ...head, summary: done ? [{ type: "summary_text", text }] : [] };
  }
  return { ...head, status, role: "assistant", content: done ? [textPart(text)] : [] };
}

const textPart = (text: string) => ({ type: "output_text", annotations: [], logprobs: [], text });

function endOf({ stop }: Scene): Fields {
  if (stop === "length" || stop === "filter") {
    const reason = stop === "length" ? "max_output_tokens" : "content_filter";
    return { status: "incomplete", incomplete_details: { reason } };
  }
  return { status: "completed", completed_at: 1_790_000_001 };
}

export function finished(scene: Scene, asked: Asked, id = nextId()): Fields {
  const output = scene.say.map((one, n) => itemOf(one, n, "completed"));
  const usage = usageOf(scene.usage);
  return { ...skeleton(asked.model, id), output, usage, ...endOf(scene) };
}

export function responseEvents(scene: Scene, asked: Asked, id = nextId()): Fields[] {
  const events: Fields[] = [];
  const push = (type: string, fields: Fields): void => {
    events.push({ type, sequence_number: events.length, ...fields });
  };
  const open = skeleton(asked.model, id);
  push("response.created", { response: open });
  push("response.in_progress", { response: open });
  for (const [output_index, one] of scene.say.entries()) {
    const item = itemOf(one, output_index, "completed");
    const item_id = item.id;
    const at = { item_id, output_index };
    push("response.output_item.added", {
      output_index,
      item: itemOf(one, output_index, "in_progress"),
    });
    sayPieces(push, one, at);
    push("response.output_item.done", { output_index, item });
  }
  const response = finished(scene, asked, id);
  push(`response.${response.status}`, { response });
  return events;
}

function sayPieces(push: (type: string, fields: Fields) => void, one: Say, at: Fields): void {
  const text = whole(one.pieces);
  if (one.kind === "call") {
    const type = "response.function_call_arguments";
    for (const delta of one.pieces) push(`${type}.delta`, { ...at, delta });
    return push(`${type}.done`, { ...at, name: one.name, arguments: text });
  }
  if (one.kind === "reasoning") {
    const part = { type: "summary_text", text: "" };
    const place = { ...at, summary_index: 0 };
    const type = "response.reasoning_summary";
    push(`${type}_part.added`, { ...place, part });
    for (const delta of one.pieces) push(`${type}_text.delta`, { ...place, delta });
    push(`${type}_text.done`, { ...place, text });
    return push(`${type}_part.done`, { ...place, part: { ...part, text } });
  }
  const place = { ...at, content_index: 0 };
  push("response.content_part.added", { ...place, part: textPart("") });
  for (const delta of one.pieces) {
    push("response.output_text.delta", { ...place, delta, logprobs: [] });
  }
  push("response.output_text.done", { ...place, text, logprobs: [] });
  push("response.content_part.done", { ...place, part: textPart(text) });
}
