/**
 * An OpenAI Responses body as a request, checked on the way. Items are finer than messages: what
 * the model said, thought and called stands in items of its own and becomes one assistant message,
 * as the same conversation reads in other dialects. What only OpenAI's own API can run (hosted
 * tools, references into its stores) becomes `foreign`.
 */
import { GridError } from "../../grid/errors.ts";
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
  urlIn,
} from "../body-fields.ts";
import type { InferenceRequest, Message, MessageRole, Part } from "../request.ts";
import { checkFields } from "../field-rules.ts";
import { KEY_LENGTH_MAX, RESPONSES_FIELDS } from "./responses-fields.ts";
import { formatOf, logprobsOf, reasoningOf, toolChoiceOf, toolsOf } from "./responses-settings.ts";

const ROLES: Readonly<Record<string, MessageRole>> = {
  user: "user",
  assistant: "assistant",
  system: "system",
  developer: "system",
};

/** Fields that stand for something in the vendor's own stores. */
const VENDORS_STATE = ["prompt", "conversation"];
/** Items after which a tool's result may answer a call that only the vendor can see. */
const VENDORS_ITEMS = ["item_reference", "compaction"];

const numberOf = (value: unknown): number | undefined =>
  typeof value === "number" ? value : undefined;
const textOf = (value: unknown): string | undefined =>
  typeof value === "string" ? value : undefined;

export function responsesToRequest(body: Fields): InferenceRequest {
  checkFields(body, RESPONSES_FIELDS);
  const before = textOf(body.previous_response_id);
  // The door has put the turns that it holds before the input: what is left is held nowhere here.
  if (before !== undefined) throw previousNotFound(before);
  const { tools, choice } = toolChoiceOf(body.tool_choice, toolsOf(body.tools));
  return {
    model: String(body.model),
    stream: body.stream === true,
    messages: [...instructionsOf(body), ...new Items(body).messages],
    tools,
    toolChoice: choice,
    parallelTools:
      typeof body.parallel_tool_calls === "boolean" ? body.parallel_tool_calls : undefined,
    format: formatOf(fieldsIn(body.text, "text")),
    maxTokens: numberOf(body.max_output_tokens),
    choices: 1,
    temperature: numberOf(body.temperature),
    topP: numberOf(body.top_p),
    presencePenalty: numberOf(body.presence_penalty),
    frequencyPenalty: numberOf(body.frequency_penalty),
    stop: [],
    logprobs: logprobsOf(body),
    reasoning: reasoningOf(fieldsIn(body.reasoning, "reasoning")),
    user: textOf(body.safety_identifier) ?? textOf(body.user),
  };
}

export function previousNotFound(id: string): GridError {
  const message =
    `Previous response with id '${id.slice(0, 128)}' not found. This PoP does not hold it (any ` +
    "more): send the whole conversation as 'input'.";
  return new GridError("previous_response_not_found", message, { param: "previous_response_id" });
}

function instructionsOf(body: Fields): Message[] {
  const said = textOf(body.instructions);
  const messages: Message[] = said
    ? [{ role: "system", parts: [{ type: "text", text: said }] }]
    : [];
  const foreign = VENDORS_STATE.filter((name) => body[name] !== undefined && body[name] !== null);
  const parts = foreign.map((name) => foreignPart(name, body[name], name));
  return parts.length === 0 ? messages : [...messages, { role: "system", parts }];
}

function foreignPart(kind: string, value: unknown, param: string): Part {
  return { type: "foreign", kind, value, param };
}

/** The items of `input`, gathered into messages. */
class Items {
  readonly messages: Message[] = [];
  private readonly calls = new Set<string>();
  /** Something before stands for calls that cannot be seen here. */
  private blind: boolean;

  constructor(body: Fields) {
    this.blind = VENDORS_STATE.some((name) => body[name] !== undefined && body[name] !== null);
    const { input } = body;
    if (typeof input === "string") {
      this.messages.push({ role: "user", parts: [{ type: "text", text: input }] });
      return;
    }
    const items = listIn(input, "input", BODY_LIMITS.messages);
    for (let i = 0; i < items.length; i++) this.item(items[i], `input[${i}]`);
    if (this.messages.length > 0 || this.blind) return;
    throw invalid("input", "is missing: send a string or an array with at least one item");
  }

  private item(item: unknown, at: string): void {
    if (!isFields(item)) throw invalid(at, `must be an object, not ${kindOf(item)}`);
    const type = textIn(item.type ?? "message", `${at}.type`);
    switch (type) {
      case "message":
        return this.message(item, at);
      case "function_call": {
        const id = textIn(item.call_id, `${at}.call_id`);
        this.calls.add(id);
        const name = textIn(item.name, `${at}.name`);
        const json = textIn(item.arguments, `${at}.arguments`);
        return this.add("assistant", [{ type: "call", id, name, arguments: json }]);
      }
      case "function_call_output":
        return this.output(item, at);
      case "reasoning":
        return this.add("assistant", thoughtOf(item, at));
      default:
        if (VENDORS_ITEMS.includes(type)) this.blind = true;
        this.add("assistant", [foreignPart(type.slice(0, 64), item, at)]);
    }
  }

  private message(item: Fields, at: string): void {
    const given = item.role;
    const role =
      typeof given === "string" && Object.hasOwn(ROLES, given) ? ROLES[given] : undefined;
    if (role === undefined) {
      const shown = typeof given === "string" ? `'${given.slice(0, 32)}'` : kindOf(given);
      const known = Object.keys(ROLES).join(", ");
      throw invalid(`${at}.role`, `must be one of ${known}, not ${shown}`);
    }
    const parts = partsOf(item.content, `${at}.content`);
    if (role === "assistant") this.add(role, parts);
    else this.messages.push({ role, parts });
  }

  private output(item: Fields, at: string): void {
    const id = textIn(item.call_id, `${at}.call_id`);
    if (!this.calls.has(id) && !this.blind) {
      const call = `'${id.slice(0, 64)}' names no function_call before it`;
      throw invalid(`${at}.call_id`, call);
    }
    const parts = partsOf(item.output, `${at}.output`);
    this.messages.push({ role: "tool", parts: [{ type: "result", id, parts, failed: false }] });
  }

  /** What the model said goes on where it said something just before. */
  private add(role: MessageRole, parts: Part[]): void {
    if (parts.length === 0) return;
    const last = this.messages.at(-1);
    if (last?.role === role) last.parts.push(...parts);
    else this.messages.push({ role, parts });
  }
}

/** The thought itself where the model shows it, else its summary. */
function thoughtOf(item: Fields, at: string): Part[] {
  const textsOf = (name: string): string =>
    listIn(item[name], `${at}.${name}`, BODY_LIMITS.parts)
      .map((part, n) => textIn(isFields(part) ? part.text : part, `${at}.${name}[${n}].text`))
      .join("");
  const text = textsOf("content") || textsOf("summary");
  const proof = item.encrypted_content;
  const signature = typeof proof === "string" && proof !== "" ? proof : undefined;
  if (signature !== undefined) return [{ type: "reasoning", text, signature }];
  return text === "" ? [] : [{ type: "reasoning", text }];
}

function partsOf(content: unknown, at: string): Part[] {
  if (typeof content === "string") return [{ type: "text", text: content }];
  if (!Array.isArray(content)) {
    throw invalid(at, `must be a string or an array of parts, not ${kindOf(content)}`);
  }
  return listIn(content, at, BODY_LIMITS.parts).map((part, n) => partOf(part, `${at}[${n}]`));
}

function partOf(part: unknown, at: string): Part {
  if (!isFields(part)) throw invalid(at, `must be an object, not ${kindOf(part)}`);
  switch (part.type) {
    case "input_text":
    case "output_text":
    case "text":
      return { type: "text", text: textIn(part.text, `${at}.text`) };
    case "refusal":
      return { type: "refusal", text: textIn(part.refusal, `${at}.refusal`) };
    case "input_image": {
      if (typeof part.image_url !== "string") break;
      const url = urlIn(part.image_url, `${at}.image_url`);
      const detail = stringField(part.detail, `${at}.detail`, 32);
      return detail === undefined ? { type: "image", url } : { type: "image", url, detail };
    }
    case "input_file": {
      const place = typeof part.file_data === "string" ? "file_data" : "file_url";
      if (typeof part[place] !== "string") break;
      const url = urlIn(part[place], `${at}.${place}`);
      const name = stringField(part.filename, `${at}.filename`, KEY_LENGTH_MAX);
      return name === undefined ? { type: "file", url } : { type: "file", url, name };
    }
    case "input_audio": {
      const audio = fieldsIn(part.input_audio, `${at}.input_audio`) ?? {};
      const data = textIn(audio.data, `${at}.input_audio.data`);
      return { type: "audio", data, format: textIn(audio.format, `${at}.input_audio.format`) };
    }
  }
  return foreignPart(textIn(part.type, `${at}.type`).slice(0, 64), part, at);
}
