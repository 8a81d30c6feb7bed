/**
 * The canonical prompt of a request: the text that an engine's KV cache would see first to last,
 * as pieces that are never joined. It is the same for every SDK and every spelling of the JSON
 * (white space, string or text parts), and a longer conversation has the shorter one's text as
 * its exact prefix, so prefix hashing finds what an engine may hold. It is not the engine's chat
 * template: it must only differ where that differs, and cost little.
 */
import { CAPABILITY } from "../grid/endpoint.ts";
import type { GridError } from "../grid/errors.ts";
import { type BodyLimits, type Fields, invalid, isFields, kindOf, urlIn } from "./body-fields.ts";

export interface Prompt {
  pieces: string[];
  /** CAPABILITY bits. */
  needs: number;
  /** Prompts in it: completions and embeddings take several. */
  inputs: number;
}

// Control characters that text hardly holds: record separator before, unit separator behind.
export const HEADS = new Map([
  ["system", "\u001esystem\u001f"],
  ["developer", "\u001edeveloper\u001f"],
  ["user", "\u001euser\u001f"],
  ["assistant", "\u001eassistant\u001f"],
  ["tool", "\u001etool\u001f"],
  ["function", "\u001efunction\u001f"],
]);
const ROLES = [...HEADS.keys()].join(", ");
export const CALL = "\u001ecall\u001f";
export const UNIT = "\u001f";
/** A longer string of a part (a data URL) is hashed: its bytes are no text that is tokenised. */
const PLAIN_LENGTH_MAX = 256;
/** Token ids per piece. */
const IDS_PER_PIECE = 1024;
const ID_MAX = 0xffff_ffff;

/** What is being read; its place is put into words only for an error. */
interface Reader {
  prompt: Prompt;
  limits: BodyLimits;
  message: number;
  /** Ids of the tool calls so far: a result must answer one of them. */
  calls: Set<string> | undefined;
}

function place(reader: Reader, below: string): string {
  return `messages[${reader.message}]${below}`;
}

function wrong(reader: Reader, below: string, rule: string, given: unknown): GridError {
  return invalid(place(reader, below), `must be ${rule}, not ${kindOf(given)}`);
}

function add(reader: Reader, piece: string): void {
  const { pieces } = reader.prompt;
  if (pieces.length >= reader.limits.promptPieces) {
    throw invalid("messages", `have more than ${reader.limits.promptPieces} parts in all`);
  }
  if (piece.length > 0) pieces.push(piece);
}

/** 64 bits of a long string, for telling images apart; not for secrets. FNV-1a, two lanes. */
function digest(text: string): string {
  let one = 0x811c9dc5;
  let two = 0x9e3779b9;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    one = Math.imul(one ^ code, 0x01000193);
    two = Math.imul(two ^ code, 0x85ebca6b);
  }
  return `${(one >>> 0).toString(16)}${(two >>> 0).toString(16)}.${text.length}`;
}

/** The text itself, or what tells it apart when it is long. */
export function short(text: string): string {
  return text.length <= PLAIN_LENGTH_MAX ? text : digest(text);
}

/** JSON text of a field that may be nested; the runtime's own walk ends in a RangeError. */
function jsonOf(value: unknown, param: string): string {
  try {
    return JSON.stringify(value) ?? "";
  } catch {
    throw invalid(param, "is nested too deeply");
  }
}

/** Tools stand before all messages in every chat template known to us. */
export function toolsPrompt(prompt: Prompt, body: Fields, limits: BodyLimits): void {
  for (const name of ["tools", "functions"] as const) {
    const tools = body[name];
    if (tools === undefined || tools === null) continue;
    if (!Array.isArray(tools)) throw invalid(name, `must be an array, not ${kindOf(tools)}`);
    if (tools.length === 0) continue;
    if (tools.length > limits.tools) {
      throw invalid(name, `must have at most ${limits.tools} entries, not ${tools.length}`);
    }
    for (let i = 0; i < tools.length; i++) checkTool(tools[i], `${name}[${i}]`, name === "tools");
    prompt.needs |= CAPABILITY.tools;
    prompt.pieces.push(jsonOf(tools, name));
  }
}

function checkTool(tool: unknown, param: string, typed: boolean): void {
  if (!isFields(tool)) throw invalid(param, `must be an object, not ${kindOf(tool)}`);
  if (typed && typeof tool.type !== "string") {
    throw invalid(`${param}.type`, `must be a string such as "function", not ${kindOf(tool.type)}`);
  }
  if (typed && tool.type !== "function") return;
  const described = typed ? tool.function : tool;
  const at = typed ? `${param}.function` : param;
  if (!isFields(described)) throw invalid(at, `must be an object, not ${kindOf(described)}`);
  if (typeof described.name === "string") return;
  throw invalid(`${at}.name`, `must be a string, not ${kindOf(described.name)}`);
}

/** Reads `messages`. @throws GridError invalid_request with `param` down to the part */
export function chatPrompt(prompt: Prompt, messages: unknown, limits: BodyLimits): Prompt {
  if (messages === undefined || messages === null) {
    throw invalid("messages", "is missing: send an array with at least one message");
  }
  if (!Array.isArray(messages)) {
    throw invalid("messages", `must be an array of messages, not ${kindOf(messages)}`);
  }
  if (messages.length === 0) throw invalid("messages", "must have at least one message");
  if (messages.length > limits.messages) {
    const most = limits.messages;
    throw invalid("messages", `must have at most ${most} messages, not ${messages.length}`);
  }
  const reader: Reader = { prompt, limits, message: 0, calls: undefined };
  for (const message of messages) {
    readMessage(reader, message);
    reader.message++;
  }
  return prompt;
}

function readMessage(reader: Reader, message: unknown): void {
  if (!isFields(message)) throw wrong(reader, "", "an object", message);
  const role = message.role;
  const head = typeof role === "string" ? HEADS.get(role) : undefined;
  if (head === undefined) {
    const given = typeof role === "string" ? `'${role.slice(0, 32)}'` : kindOf(role);
    throw invalid(place(reader, ".role"), `must be one of ${ROLES}, not ${given}`);
  }
  add(reader, head);
  if (typeof message.name === "string") add(reader, message.name + UNIT);
  if (role === "tool") readToolId(reader, message.tool_call_id);
  readContent(reader, message);
  if (role === "assistant") readCalls(reader, message);
}

function readToolId(reader: Reader, id: unknown): void {
  if (typeof id === "string" && id.length > 0) {
    if (reader.calls?.has(id)) return add(reader, id + UNIT);
    const rule = `'${id.slice(0, 64)}' names no tool call of an assistant message before it`;
    throw invalid(place(reader, ".tool_call_id"), rule);
  }
  const rule = "the id of the tool call that this message answers (a string)";
  throw wrong(reader, ".tool_call_id", rule, id);
}

/** What an assistant message may have in place of content. */
const INSTEAD = ["tool_calls", "function_call", "refusal", "audio", "reasoning_content"] as const;

function mayBeEmpty(message: Fields): boolean {
  if (message.role === "function") return message.content === null;
  if (message.role !== "assistant") return false;
  return INSTEAD.some((name) => message[name] !== undefined && message[name] !== null);
}

function readContent(reader: Reader, message: Fields): void {
  const content = message.content;
  if (typeof content === "string") return add(reader, content);
  if (Array.isArray(content)) return readParts(reader, content);
  if ((content === null || content === undefined) && mayBeEmpty(message)) return;
  const but = message.role === "assistant" ? " (null only beside tool_calls)" : "";
  throw wrong(reader, ".content", `a string or an array of content parts${but}`, content);
}

function readParts(reader: Reader, parts: readonly unknown[]): void {
  const most = reader.limits.parts;
  if (parts.length === 0 || parts.length > most) {
    const rule = `must have 1 to ${most} content parts, not ${parts.length}`;
    throw invalid(place(reader, ".content"), rule);
  }
  for (let i = 0; i < parts.length; i++) readPart(reader, parts[i], i);
}

function readPart(reader: Reader, part: unknown, index: number): void {
  if (isFields(part) && part.type === "text" && typeof part.text === "string") {
    return add(reader, part.text);
  }
  const at = `.content[${index}]`;
  if (!isFields(part)) throw wrong(reader, at, "an object", part);
  const { type } = part;
  if (typeof type !== "string") throw wrong(reader, `${at}.type`, 'a string like "text"', type);
  if (type === "text") throw wrong(reader, `${at}.text`, "a string", part.text);
  if (type === "image_url") return readImage(reader, part.image_url, `${at}.image_url`);
  if (type === "refusal" && typeof part.refusal === "string") return add(reader, part.refusal);
  // Audio, files, video and what engines add: told apart, not understood.
  const text = short(jsonOf(part, place(reader, at)));
  add(reader, `${CALL}${short(type)}${UNIT}${text}${UNIT}`);
}

function readImage(reader: Reader, image: unknown, at: string): void {
  const url = isFields(image) ? image.url : image;
  if (typeof url !== "string" || url.length === 0) {
    throw wrong(reader, `${at}.url`, "a URL or a data URL", url);
  }
  urlIn(url, place(reader, at));
  reader.prompt.needs |= CAPABILITY.vision;
  add(reader, `${CALL}image${UNIT}${short(url)}${UNIT}`);
}

function readCalls(reader: Reader, message: Fields): void {
  const calls = message.tool_calls;
  if (calls !== undefined && calls !== null) {
    if (!Array.isArray(calls)) throw wrong(reader, ".tool_calls", "an array", calls);
    if (calls.length > reader.limits.parts) {
      const rule = `must have at most ${reader.limits.parts} calls, not ${calls.length}`;
      throw invalid(place(reader, ".tool_calls"), rule);
    }
    for (let i = 0; i < calls.length; i++) readCall(reader, calls[i], `.tool_calls[${i}]`);
  }
  if (isFields(message.function_call)) {
    addCall(reader, "", message.function_call, ".function_call");
  }
}

function readCall(reader: Reader, call: unknown, at: string): void {
  if (!isFields(call)) throw wrong(reader, at, "an object", call);
  const { id, type } = call;
  if (typeof id !== "string") throw wrong(reader, `${at}.id`, "a string", id);
  reader.calls ??= new Set();
  reader.calls.add(id);
  if (isFields(call.function)) return addCall(reader, id, call.function, `${at}.function`);
  if (type === "function" || type === undefined) {
    throw wrong(reader, `${at}.function`, "an object", call.function);
  }
  add(reader, `${CALL}${id}${UNIT}${jsonOf(call, place(reader, at))}`);
}

/** Arguments are a string by the API; some SDKs send the object. */
function addCall(reader: Reader, id: string, called: Fields, at: string): void {
  const { name, arguments: given } = called;
  if (typeof name !== "string") throw wrong(reader, `${at}.name`, "a string", name);
  add(reader, `${CALL}${id}${UNIT}${name}${UNIT}`);
  add(reader, typeof given === "string" ? given : jsonOf(given ?? {}, place(reader, at)));
}

/** Reads `input` of embeddings or `prompt` of completions: text or token ids, one or several. */
export function inputPrompt(
  prompt: Prompt,
  input: unknown,
  name: string,
  limits: BodyLimits,
): Prompt {
  if (typeof input === "string") {
    if (input.length === 0 && name === "input") throw invalid(name, "must not be empty");
    prompt.inputs = 1;
    prompt.pieces.push(input);
    return prompt;
  }
  if (!Array.isArray(input)) {
    const rule = "must be a string, an array of strings, or one or several arrays of token ids";
    const given = input === undefined || input === null ? "missing" : kindOf(input);
    throw invalid(name, `${rule}; it is ${given}`);
  }
  if (input.length === 0) throw invalid(name, "must not be an empty array");
  if (typeof input[0] === "number") {
    prompt.inputs = 1;
    addIds(prompt, input, name);
    return prompt;
  }
  if (input.length > limits.inputs) {
    throw invalid(name, `must have at most ${limits.inputs} entries, not ${input.length}`);
  }
  prompt.inputs = input.length;
  for (let i = 0; i < input.length; i++) addInput(prompt, input[i], `${name}[${i}]`);
  return prompt;
}

function addInput(prompt: Prompt, entry: unknown, at: string): void {
  prompt.pieces.push("\u001e");
  if (typeof entry === "string") {
    if (entry.length === 0 && at.startsWith("input")) throw invalid(at, "must not be empty");
    prompt.pieces.push(entry);
  } else if (Array.isArray(entry) && entry.length > 0) addIds(prompt, entry, at);
  else throw invalid(at, `must be a string or an array of token ids, not ${kindOf(entry)}`);
}

function addIds(prompt: Prompt, ids: readonly unknown[], at: string): void {
  for (let from = 0; from < ids.length; from += IDS_PER_PIECE) {
    const end = Math.min(from + IDS_PER_PIECE, ids.length);
    for (let i = from; i < end; i++) {
      const id = ids[i];
      if (typeof id === "number" && Number.isInteger(id) && id >= 0 && id <= ID_MAX) continue;
      throw invalid(`${at}[${i}]`, `must be a token id, an integer from 0, not ${kindOf(id)}`);
    }
    prompt.pieces.push(`${ids.slice(from, end).join(",")},`);
  }
}
