/**
 * Anthropic Messages, count_tokens and Models as the vendor speaks them, version 2023-06-01 and
 * 2026-10-21: named events, cumulative usage, its own error objects.
 */
import { bearer } from "./chat.ts";
import {
  type Asked,
  type AskedPart,
  type AskedTool,
  type AskedTurn,
  base64At,
  type Fields,
  fieldsAt,
  joined,
  listAt,
  numberAt,
  onlyKnown,
  Refusal,
  type Say,
  type Scene,
  type Stop,
  textAt,
  type Usage,
  whole,
} from "./scene.ts";
import type { Protocol, Reading, VendorRequest } from "./server.ts";

const COUNTED =
  "messages model cache_control output_config speed system thinking tool_choice tools " +
  "user_profile_id workspace_id";
const KNOWN = (
  `${COUNTED} max_tokens container diagnostics inference_geo metadata service_tier ` +
  "stop_sequences stream temperature top_k top_p"
).split(" ");
const VERSIONS = ["2023-06-01", "2026-10-21"];

const REASON: Record<Stop, string> = {
  end: "end_turn",
  length: "max_tokens",
  calls: "tool_use",
  filter: "refusal",
  sequence: "stop_sequence",
};

const TYPES: Record<number, string> = {
  400: "invalid_request_error",
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  504: "timeout_error",
  529: "overloaded_error",
};

function errorBody({ status, message }: Refusal): unknown {
  const type = TYPES[status] ?? (status < 500 ? "invalid_request_error" : "api_error");
  return { type: "error", error: { type, message }, request_id: "req_messages" };
}

/** Rate limits as Anthropic's headers write them. */
export const RATE_HEADERS = {
  "anthropic-ratelimit-requests-limit": "50",
  "anthropic-ratelimit-requests-remaining": "49",
  "anthropic-ratelimit-requests-reset": "2026-11-26T12:00:01Z",
  "anthropic-ratelimit-tokens-limit": "80000",
  "anthropic-ratelimit-tokens-remaining": "79000",
  "anthropic-ratelimit-tokens-reset": "2026-11-26T12:00:02Z",
};

export const MESSAGES: Protocol = {
  dialect: "messages",
  key: (request) => request.headers["x-api-key"] ?? bearer(request),
  headers: () => ({ "request-id": "req_messages", ...RATE_HEADERS }),
  errorBody,
  // In a stream the vendor speaks of overload, whatever the status would have been.
  errorEvent: ({ message }) => [frame("error", errorBody(new Refusal(529, message)))],
  read,
  whole: message,
  events: (scene, asked) => events(scene, asked).map(([name, value]) => frame(name, value)),
};

const frame = (name: string, value: unknown): string =>
  `event: ${name}\ndata: ${JSON.stringify(value)}\n\n`;

function read(request: VendorRequest): Reading {
  const { method, path, headers, body, models } = request;
  const version = headers["anthropic-version"];
  if (version === undefined || !VERSIONS.includes(version)) {
    throw new Refusal(400, `anthropic-version: '${version ?? ""}' is not a valid version`);
  }
  if (method === "GET" && path === "/v1/models") return page(request);
  if (method === "GET" && path.startsWith("/v1/models/")) {
    return { kind: "reply", body: modelObject(knownModel(path.slice(11), models)) };
  }
  if (method === "POST" && path === "/v1/messages/count_tokens") {
    const fields = fieldsAt(body, "body");
    onlyKnown(fields, COUNTED.split(" "), unknown);
    const { turns } = readAsked({ ...fields, max_tokens: 1 }, models);
    return { kind: "reply", body: { input_tokens: countOf(turns) } };
  }
  if (method === "POST" && path === "/v1/messages") {
    return { kind: "generate", asked: { ...readAsked(fieldsAt(body, "body"), models), version } };
  }
  throw new Refusal(404, "Not found");
}

/** Pages of 20 unless the caller wants more or fewer. */
function page({ query, models }: VendorRequest): Reading {
  const from = models.indexOf(query.get("after_id") ?? "") + 1;
  const shown = models.slice(from, from + Number(query.get("limit") ?? 20));
  const ends = { first_id: shown[0] ?? null, last_id: shown.at(-1) ?? null };
  const has_more = from + shown.length < models.length;
  return { kind: "reply", body: { data: shown.map(modelObject), has_more, ...ends } };
}

/** One token per word: what the vendor counts is its own affair, that it counts all is not. */
export const countOf = (turns: readonly AskedTurn[]): number =>
  turns
    .flatMap(({ parts }) => parts)
    .reduce((sum, part) => sum + ("text" in part ? part.text.split(" ").length : 1), 0);

const modelObject = (id: string) => ({
  ...{ type: "model", id, display_name: id, created_at: "2026-01-01T00:00:00Z" },
  ...{ capabilities: null, deprecated_at: null, lifecycle: "active", line: null },
  ...{ max_input_tokens: 200_000, max_tokens: 64_000, retires_at: null },
});

function knownModel(value: unknown, models: readonly string[]): string {
  const model = textAt(value, "model");
  if (!models.includes(model)) throw new Refusal(404, `model: ${model}`);
  return model;
}

const unknown = (name: string): string => `${name}: Extra inputs are not permitted`;

function readAsked(body: Fields, models: readonly string[]): Asked {
  onlyKnown(body, KNOWN, unknown);
  if (typeof body.max_tokens !== "number") throw new Refusal(400, "max_tokens: Field required");
  const system = body.system === undefined ? "" : textOf(body.system, "system");
  const { schema } = readFormat(body.output_config);
  return {
    model: knownModel(body.model, models),
    stream: body.stream === true,
    ...(system === "" ? {} : { system }),
    turns: readMessages(listAt(body.messages, "messages")),
    tools: listAt(body.tools ?? [], "tools").map(readTool),
    ...readChoice(body.tool_choice),
    maxTokens: body.max_tokens,
    temperature: numberAt(body.temperature, "temperature"),
    topP: numberAt(body.top_p, "top_p"),
    stops: listAt(body.stop_sequences ?? [], "stop_sequences").map((x) => textAt(x, "stop")),
    ...(schema === undefined ? {} : { schema }),
    wantsUsage: true,
  };
}

function readFormat(value: unknown): { schema?: unknown } {
  if (value === undefined || value === null) return {};
  const { format } = fieldsAt(value, "output_config");
  if (format === undefined || format === null) return {};
  const { type, schema } = fieldsAt(format, "output_config.format");
  if (type !== "json_schema") throw new Refusal(400, "output_config.format.type: Input should be");
  return { schema };
}

function readTool(value: unknown, index: number): AskedTool {
  const tool = fieldsAt(value, `tools.${index}`);
  const schema = fieldsAt(tool.input_schema, `tools.${index}.input_schema`);
  if (schema.type !== "object") {
    throw new Refusal(400, `tools.${index}.input_schema.type: Input should be 'object'`);
  }
  const said = tool.description === undefined ? {} : { description: textAt(tool.description, "d") };
  return { name: textAt(tool.name, `tools.${index}.name`), ...said, schema };
}

function readChoice(value: unknown): Pick<Asked, "choice"> {
  if (value === undefined) return {};
  const choice = fieldsAt(value, "tool_choice");
  if (choice.type === "tool") return { choice: { name: textAt(choice.name, "tool_choice.name") } };
  const type = choice.type;
  if (type === "auto" || type === "none" || type === "any") return { choice: type };
  throw new Refusal(400, `tool_choice.type: '${String(type)}' is not known`);
}

function textOf(content: unknown, where: string): string {
  if (typeof content === "string") return content;
  return listAt(content, where)
    .map((block) => textAt(fieldsAt(block, where).text, `${where}.text`))
    .join("\n\n");
}

function readMessages(messages: unknown[]): AskedTurn[] {
  if (messages.length === 0) throw new Refusal(400, "messages: at least one message is required");
  const turns: AskedTurn[] = [];
  let open = new Map<string, string>();
  for (const [index, value] of messages.entries()) {
    const where = `messages.${index}`;
    const { role, content } = fieldsAt(value, where);
    if (role !== "user" && role !== "assistant") {
      throw new Refusal(400, `${where}.role: Input should be 'user' or 'assistant'`);
    }
    const calls = new Map<string, string>();
    const blocks = typeof content === "string" ? [{ type: "text", text: content }] : content;
    const parts = listAt(blocks, `${where}.content`).map((block, n) =>
      readBlock(fieldsAt(block, where), `${where}.content.${n}`, open, calls),
    );
    answersAll(open, parts, where);
    open = calls;
    const results = parts.filter((part) => part.kind === "result");
    const rest = parts.filter((part) => part.kind !== "result");
    if (results.length > 0) turns.push({ role: "tool", parts: results });
    if (rest.length > 0) turns.push({ role, parts: rest });
  }
  return joined(turns);
}

/** The message behind a tool_use must hold all results. */
function answersAll(open: Map<string, string>, parts: AskedPart[], where: string): void {
  const results = parts.filter((part) => part.kind === "result").length;
  if (results >= open.size) return;
  const ids = [...open.keys()].join(", ");
  const said = "`tool_use` ids were found without `tool_result` blocks immediately after";
  throw new Refusal(400, `${where}: ${said}: ${ids}`);
}

function readBlock(
  block: Fields,
  where: string,
  open: Map<string, string>,
  calls: Map<string, string>,
): AskedPart {
  switch (block.type) {
    case "text":
      if (block.text === "") throw new Refusal(400, `${where}: text content must be non-empty`);
      return { kind: "text", text: textAt(block.text, `${where}.text`) };
    case "thinking":
      textAt(block.signature, `${where}.signature`);
      return { kind: "reasoning", text: textAt(block.thinking, `${where}.thinking`) };
    case "image":
      return readImage(fieldsAt(block.source, `${where}.source`), where);
    case "tool_use": {
      const name = textAt(block.name, `${where}.name`);
      calls.set(textAt(block.id, `${where}.id`), name);
      return { kind: "call", name, args: fieldsAt(block.input, `${where}.input`) };
    }
    case "tool_result": {
      const id = textAt(block.tool_use_id, `${where}.tool_use_id`);
      const name = open.get(id);
      if (name === undefined) {
        const said = "unexpected `tool_use_id` found in `tool_result` blocks";
        throw new Refusal(400, `${where}: ${said}: ${id}`);
      }
      return { kind: "result", name, text: textOf(block.content ?? "", `${where}.content`) };
    }
    default:
      throw new Refusal(400, `${where}: Input tag '${String(block.type)}' is not known`);
  }
}

function readImage(source: Fields, where: string): AskedPart {
  if (source.type === "url") return { kind: "image", url: textAt(source.url, `${where}.url`) };
  const data = base64At(textAt(source.data, `${where}.source.data`), `${where}.source.data`);
  return { kind: "image", media: textAt(source.media_type, `${where}.media_type`), data };
}

/** The second version of the API says more. */
const isNewer = ({ version }: Asked): boolean => version === VERSIONS[1];

function usageOf({ input, cached, output, reasoning }: Usage, asked: Asked): Fields {
  const usage = {
    ...{ input_tokens: input - cached, cache_creation_input_tokens: 0 },
    ...{ cache_read_input_tokens: cached, output_tokens: output },
  };
  if (!isNewer(asked)) return usage;
  const details = { output_tokens_details: { thinking_tokens: reasoning } };
  return { ...usage, ...details, server_tool_use: null };
}

function wholeUsage(usage: Usage, asked: Asked): Fields {
  const head = isNewer(asked)
    ? { cache_creation: null, inference_geo: "not_available", speed: "standard" }
    : {};
  return { ...head, service_tier: "standard", ...usageOf(usage, asked) };
}

function skeleton(asked: Asked): Fields {
  const head = { id: "msg_1", type: "message", role: "assistant", model: asked.model };
  return isNewer(asked)
    ? { ...head, container: null, diagnostics: null, stop_details: null }
    : head;
}

const SIGNATURE = "c2lnbmF0dXJl";

function blockOf(one: Say): Fields {
  if (one.kind === "text") return { type: "text", text: whole(one.pieces), citations: null };
  if (one.kind === "reasoning") {
    return { type: "thinking", thinking: whole(one.pieces), signature: SIGNATURE };
  }
  const input = JSON.parse(whole(one.pieces)) as unknown;
  return { type: "tool_use", id: one.id, name: one.name, input, caller: { type: "direct" } };
}

const stopOf = (stop: Stop, stops: readonly string[]) => ({
  stop_reason: REASON[stop],
  stop_sequence: stop === "sequence" ? (stops[0] ?? null) : null,
});

function message({ say, stop, usage }: Scene, asked: Asked): unknown {
  const content = say.map(blockOf);
  const counted = wholeUsage(usage, asked);
  return { ...skeleton(asked), content, ...stopOf(stop, asked.stops), usage: counted };
}

function events({ say, stop, usage }: Scene, asked: Asked): [string, unknown][] {
  const event = (type: string, fields: Fields = {}): [string, unknown] => [
    type,
    { type, ...fields },
  ];
  const open = wholeUsage({ ...usage, output: 1, reasoning: 0 }, asked);
  const start = { content: [], stop_reason: null, stop_sequence: null, usage: open };
  const result = [event("message_start", { message: { ...skeleton(asked), ...start } })];
  for (const [index, one] of say.entries()) {
    const deltas = deltasOf(one);
    const content_block = deltas.open;
    result.push(event("content_block_start", { index, content_block }));
    if (index === 0) result.push(event("ping"));
    for (const delta of deltas.deltas) result.push(event("content_block_delta", { index, delta }));
    result.push(event("content_block_stop", { index }));
  }
  const more = isNewer(asked) ? { container: null, stop_details: null } : {};
  const delta = { ...stopOf(stop, asked.stops), ...more };
  result.push(event("message_delta", { delta, usage: usageOf(usage, asked) }));
  result.push(event("message_stop"));
  return result;
}

function deltasOf(one: Say): { open: Fields; deltas: Fields[] } {
  const { kind, pieces } = one;
  if (kind === "text") {
    const deltas = pieces.map((text) => ({ type: "text_delta", text }));
    return { open: { type: "text", text: "", citations: null }, deltas };
  }
  if (kind === "reasoning") {
    const deltas: Fields[] = pieces.map((thinking) => ({ type: "thinking_delta", thinking }));
    deltas.push({ type: "signature_delta", signature: SIGNATURE });
    return { open: { type: "thinking", thinking: "", signature: "" }, deltas };
  }
  const deltas = ["", ...pieces].map((partial_json) => ({
    type: "input_json_delta",
    partial_json,
  }));
  return { open: { ...blockOf({ ...one, pieces: ["{}"] }) }, deltas };
}
