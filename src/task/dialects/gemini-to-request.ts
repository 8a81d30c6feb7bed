/**
 * A generateContent body as a request, checked on the way. What only the vendor can run or look up
 * (its search, its code execution, its caches and stored files) becomes `foreign`: it passes to an
 * endpoint of the same dialect untouched and is an error towards any other. Function calls need
 * no ids there; those without get one from their place, the same in every turn.
 */
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
import type { InferenceRequest, Message, OutputFormat, Part } from "../request.ts";
import { checkFields } from "../field-rules.ts";
import { GEMINI_FIELDS } from "./gemini-rules.ts";
import { base64In, jsonIn, named } from "./gemini-fields.ts";
import { jsonSchemaOf } from "./gemini-schema.ts";
import { choiceOf, toolsOf } from "./gemini-tools.ts";

const numberOf = (value: unknown): number | undefined =>
  typeof value === "number" ? value : undefined;

/** Function calls that wait for a response, in order. */
interface Calls {
  made: number;
  open: { id: string; name: string }[];
}

export function geminiToRequest(body: Fields): InferenceRequest {
  checkFields(body, GEMINI_FIELDS, named);
  const config = fieldsIn(named(body, "generationConfig"), "generationConfig") ?? {};
  const number = (name: string) => numberOf(named(config, name));
  const tools = toolsOf(body.tools);
  const messages = [
    ...systemOf(named(body, "systemInstruction")),
    ...foreignOf(body, config),
    ...contentsOf(body.contents),
  ];
  return {
    model: "",
    stream: false,
    messages,
    ...choiceOf(tools, named(body, "toolConfig")),
    format: formatOf(config),
    maxTokens: number("maxOutputTokens"),
    choices: number("candidateCount") ?? 1,
    temperature: number("temperature"),
    topP: number("topP"),
    topK: number("topK"),
    presencePenalty: number("presencePenalty"),
    frequencyPenalty: number("frequencyPenalty"),
    seed: number("seed"),
    stop: stopOf(named(config, "stopSequences")),
    logprobs:
      named(config, "responseLogprobs") === true ? { top: number("logprobs") ?? 0 } : undefined,
    reasoning: reasoningOf(config),
  };
}

function systemOf(value: unknown): Message[] {
  const content = fieldsIn(value, "systemInstruction");
  if (content === undefined) return [];
  const at = "systemInstruction.parts";
  const parts = listIn(content.parts, at, BODY_LIMITS.parts).map(
    (part, index): Part => ({
      type: "text",
      text: textIn(fieldsIn(part, `${at}[${index}]`)?.text, `${at}[${index}].text`),
    }),
  );
  return parts.length === 0 ? [] : [{ role: "system", parts }];
}

function contentsOf(value: unknown): Message[] {
  if (value === undefined || value === null) {
    throw invalid("contents", "is missing: send an array with at least one content");
  }
  const contents = listIn(value, "contents", BODY_LIMITS.messages);
  if (contents.length === 0) throw invalid("contents", "must have at least one content");
  const calls: Calls = { made: 0, open: [] };
  return contents.flatMap((content, index) => contentOf(content, `contents[${index}]`, calls));
}

function contentOf(content: unknown, at: string, calls: Calls): Message[] {
  if (!isFields(content)) throw invalid(at, `must be an object, not ${kindOf(content)}`);
  const role = content.role ?? "user";
  if (role !== "user" && role !== "model" && role !== "function") {
    const given = typeof role === "string" ? `'${role.slice(0, 32)}'` : kindOf(role);
    throw invalid(`${at}.role`, `must be one of user, model, not ${given}`);
  }
  const list = listIn(content.parts, `${at}.parts`, BODY_LIMITS.parts);
  if (list.length === 0) throw invalid(`${at}.parts`, "must have at least one part");
  const parts = joinThoughts(
    list.map((part, index) => partOf(part, `${at}.parts[${index}]`, calls)),
  );
  if (role === "model") return [{ role: "assistant", parts }];
  const results = parts.filter((part) => part.type === "result");
  const said = parts.filter((part) => part.type !== "result");
  const messages: Message[] = results.map((part) => ({ role: "tool", parts: [part] }));
  if (said.length > 0) messages.push({ role: "user", parts: said });
  return messages;
}

/** A thought comes back in the pieces in which it was streamed, its proof in the last. */
function joinThoughts(parts: readonly Part[]): Part[] {
  const joined: Part[] = [];
  for (const part of parts) {
    const last = joined.at(-1);
    if (part.type === "reasoning" && last?.type === "reasoning" && last.signature === undefined) {
      joined[joined.length - 1] = { ...part, text: last.text + part.text };
    } else joined.push(part);
  }
  return joined;
}

/** Of the vendor's `oneof`, those that are understood here. */
const PART_KINDS = ["text", "inlineData", "fileData", "functionCall", "functionResponse"];

function partOf(value: unknown, at: string, calls: Calls): Part {
  if (!isFields(value)) throw invalid(at, `must be an object, not ${kindOf(value)}`);
  const given = PART_KINDS.filter((kind) => (named(value, kind) ?? undefined) !== undefined);
  if (given.length > 1) {
    throw invalid(at, `has ${given.join(" and ")}: a part is one of them, give each its own`);
  }
  if (value.text !== undefined) return textOf(value, at);
  const inline = fieldsIn(named(value, "inlineData"), `${at}.inlineData`);
  if (inline !== undefined) return inlineOf(inline, `${at}.inlineData`);
  const file = fieldsIn(named(value, "fileData"), `${at}.fileData`);
  if (file !== undefined) return fileOf(value, file, `${at}.fileData`);
  const call = fieldsIn(named(value, "functionCall"), `${at}.functionCall`);
  if (call !== undefined) return callOf(call, `${at}.functionCall`, calls);
  const response = fieldsIn(named(value, "functionResponse"), `${at}.functionResponse`);
  if (response !== undefined) return resultOf(response, `${at}.functionResponse`, calls);
  const kind = Object.keys(value)[0];
  if (kind === undefined) {
    throw invalid(at, "is empty: it needs text, inlineData, fileData, or a function's call");
  }
  return { type: "foreign", kind: kind.slice(0, 64), value, param: at };
}

function textOf(value: Fields, at: string): Part {
  const text = textIn(value.text, `${at}.text`);
  if (value.thought !== true) return { type: "text", text };
  const signature = named(value, "thoughtSignature");
  return typeof signature === "string"
    ? { type: "reasoning", text, signature }
    : { type: "reasoning", text };
}

function inlineOf(inline: Fields, at: string): Part {
  const mediaType = textIn(named(inline, "mimeType"), `${at}.mimeType`);
  const data = base64In(inline.data, `${at}.data`);
  if (mediaType.startsWith("audio/")) {
    return { type: "audio", data, format: mediaType.slice(6).replace("mpeg", "mp3") };
  }
  const url = `data:${mediaType};base64,${data}`;
  return mediaType.startsWith("image/") ? { type: "image", url } : { type: "file", url };
}

/** A web address serves anybody; a file of the vendor's store serves nobody else. */
function fileOf(value: Fields, file: Fields, at: string): Part {
  const url = textIn(named(file, "fileUri"), `${at}.fileUri`);
  const stored = /^https:\/\/generativelanguage\.googleapis\.com\//.test(url);
  if (stored || !/^https?:/.test(url)) {
    return { type: "foreign", kind: "fileData", value, param: at };
  }
  const mediaType = named(file, "mimeType");
  const isImage = typeof mediaType !== "string" || mediaType.startsWith("image/");
  return isImage ? { type: "image", url } : { type: "file", url };
}

function callOf(call: Fields, at: string, calls: Calls): Part {
  const name = textIn(call.name, `${at}.name`);
  const id = typeof call.id === "string" && call.id !== "" ? call.id : `call_${calls.made}`;
  calls.made++;
  calls.open.push({ id, name });
  const args = fieldsIn(call.args, `${at}.args`) ?? {};
  return { type: "call", id, name, arguments: jsonIn(args, `${at}.args`) };
}

/** By its id, else the first call of that name that has no response yet. */
function resultOf(response: Fields, at: string, calls: Calls): Part {
  const name = textIn(response.name, `${at}.name`);
  const given = typeof response.id === "string" && response.id !== "" ? response.id : undefined;
  const index = calls.open.findIndex((call) =>
    given === undefined ? call.name === name : call.id === given,
  );
  if (index < 0) {
    throw invalid(`${at}.name`, `'${name.slice(0, 64)}' answers no functionCall before it`);
  }
  const [{ id }] = calls.open.splice(index, 1);
  const said = fieldsIn(response.response, `${at}.response`) ?? {};
  const more = listIn(response.parts, `${at}.parts`, BODY_LIMITS.parts);
  const parts = more.map((part, n) => partOf(part, `${at}.parts[${n}]`, { made: 0, open: [] }));
  const text = resultText(said, `${at}.response`);
  return { type: "result", id, parts: [{ type: "text", text }, ...parts], failed: "error" in said };
}

/** A response is an object; a plain text stands by convention under one of these. */
const TEXT_KEYS = ["output", "result", "content", "error"];

function resultText(response: Fields, at: string): string {
  const keys = Object.keys(response).filter((key) => key !== "name");
  const only = keys.length === 1 ? response[keys[0]] : undefined;
  if (typeof only === "string" && TEXT_KEYS.includes(keys[0])) return only;
  return jsonIn(response, at);
}

/** What no other dialect has words for, as parts, so that only an engine of this one serves it. */
function foreignOf(body: Fields, config: Fields): Message[] {
  const parts: Part[] = [];
  const foreign = (kind: string, value: unknown, param: string): void => {
    parts.push({ type: "foreign", kind, value, param });
  };
  const cached = named(body, "cachedContent");
  if (cached !== undefined && cached !== null && cached !== "") {
    foreign("cachedContent", cached, "cachedContent");
  }
  const modalities = named(config, "responseModalities");
  const others = (one: unknown): boolean => String(one).toUpperCase() !== "TEXT";
  if (Array.isArray(modalities) && modalities.some(others)) {
    foreign("responseModalities", modalities, "generationConfig.responseModalities");
  }
  return parts.length === 0 ? [] : [{ role: "user", parts }];
}

function formatOf(config: Fields): OutputFormat | undefined {
  const type = named(config, "responseMimeType");
  const json = named(config, "responseJsonSchema");
  const own = named(config, "responseSchema");
  if (json === undefined && own === undefined) {
    return type === "application/json" ? { type: "json" } : undefined;
  }
  const schema = json === undefined ? jsonSchemaOf(own, "generationConfig.responseSchema") : json;
  return { type: "schema", name: "answer", schema, strict: false };
}

function stopOf(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function reasoningOf(config: Fields): InferenceRequest["reasoning"] {
  const thinking = named(config, "thinkingConfig");
  if (!isFields(thinking)) return undefined;
  const given = numberOf(named(thinking, "thinkingBudget"));
  const level = named(thinking, "thinkingLevel");
  // 0 turns thinking off, -1 leaves it to the model.
  const effort = given === 0 ? "none" : typeof level === "string" ? level.toLowerCase() : undefined;
  const budgetTokens = given !== undefined && given > 0 ? given : undefined;
  return effort === undefined && budgetTokens === undefined ? undefined : { effort, budgetTokens };
}
