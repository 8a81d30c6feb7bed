/**
 * A request as a generateContent body. Two things have no words there and are left out, because
 * they bind nobody's answer: `user`, and a wish for one tool call at a time.
 */
import { type Fields, invalid, isFields } from "../body-fields.ts";
import {
  dataUrl,
  type InferenceRequest,
  type Message,
  type OutputFormat,
  type Part,
  plainText,
  type Tool,
  type ToolChoice,
} from "../request.ts";

/** Thinking tokens that stand for an effort, as the vendor's own OpenAI door has them. */
const BUDGETS: Readonly<Record<string, number>> = {
  ...{ none: 0, minimal: 1_024, low: 1_024, medium: 8_192 },
  ...{ high: 24_576, xhigh: 24_576, max: 24_576 },
};

/**
 * Gemini 3 refuses a function call in the history without the proof that came with it; this word,
 * documented for histories of other models, stands in its place.
 */
const NO_PROOF = "skip_thought_signature_validator";
const PROOF_SINCE = 3;

export function geminiFromRequest(request: InferenceRequest): Fields {
  const { messages, tools } = request;
  const body: Fields = { contents: contentsOf(messages, needsProof(request.model)) };
  const system = systemOf(messages);
  if (system !== undefined) body.systemInstruction = system;
  if (tools.length > 0) body.tools = toolsOf(tools);
  const choice = choiceOf(request.toolChoice);
  if (choice !== undefined && tools.length > 0) {
    body.toolConfig = { functionCallingConfig: choice };
  }
  const config = configOf(request);
  if (Object.keys(config).length > 0) body.generationConfig = config;
  return body;
}

function needsProof(model: string): boolean {
  const version = /^gemini-(\d+)/.exec(model)?.[1];
  return version !== undefined && Number(version) >= PROOF_SINCE;
}

function configOf(request: InferenceRequest): Fields {
  const config: Fields = {};
  const set = (name: string, value: unknown): void => {
    if (value !== undefined) config[name] = value;
  };
  set("maxOutputTokens", request.maxTokens);
  if (request.choices > 1) config.candidateCount = request.choices;
  set("temperature", request.temperature);
  set("topP", request.topP);
  set("topK", request.topK);
  set("presencePenalty", request.presencePenalty);
  set("frequencyPenalty", request.frequencyPenalty);
  set("seed", request.seed);
  if (request.stop.length > 0) config.stopSequences = request.stop;
  Object.assign(config, formatOf(request.format));
  set("thinkingConfig", thinkingOf(request.reasoning));
  return config;
}

function formatOf(format: OutputFormat | undefined): Fields {
  if (format === undefined || format.type === "text") return {};
  const json = { responseMimeType: "application/json" };
  return format.type === "json" ? json : { ...json, responseJsonSchema: format.schema };
}

function thinkingOf(reasoning: InferenceRequest["reasoning"]): unknown {
  const thinkingBudget = reasoning?.budgetTokens ?? BUDGETS[reasoning?.effort ?? ""];
  if (thinkingBudget === undefined) return undefined;
  return thinkingBudget === 0 ? { thinkingBudget } : { thinkingBudget, includeThoughts: true };
}

function systemOf(messages: readonly Message[]): unknown {
  const parts = messages
    .filter(({ role }) => role === "system")
    .map(({ parts }) => plainText(parts) ?? cannot(parts.find(({ type }) => type !== "text")))
    .map((text) => ({ text }));
  return parts.length === 0 ? undefined : { parts };
}

/** Results of one turn's calls stand in one content; all else keeps its own. */
function contentsOf(messages: readonly Message[], proof: boolean): Fields[] {
  const contents: { role: string; parts: unknown[] }[] = [];
  const names = new Map<string, string>();
  let answering = false;
  for (const message of messages) {
    if (message.role === "system") continue;
    const role = message.role === "assistant" ? "model" : "user";
    const parts = message.parts.flatMap((part) => partsOf(part, names));
    if (role === "model" && proof) addProof(parts);
    if (parts.length === 0) continue;
    const results = message.role === "tool";
    if (results && answering) contents.at(-1)?.parts.push(...parts);
    else contents.push({ role, parts });
    answering = results;
  }
  return contents;
}

/** The first call of a step carries the proof of its thoughts. */
function addProof(parts: readonly unknown[]): void {
  const call = parts.find((part) => isFields(part) && part.functionCall !== undefined);
  if (isFields(call)) call.thoughtSignature = NO_PROOF;
}

function partsOf(part: Part, names: Map<string, string>): Fields[] {
  switch (part.type) {
    case "text":
    case "refusal":
      return part.text === "" ? [] : [{ text: part.text }];
    case "image":
    case "file":
      return [mediaOf(part)];
    case "audio":
      return [{ inlineData: { mimeType: `audio/${part.format}`, data: part.data } }];
    case "call":
      names.set(part.id, part.name);
      return [{ functionCall: { id: part.id, name: part.name, args: argsOf(part) } }];
    case "result":
      return [{ functionResponse: responseOf(part, names) }];
    // Thoughts of another model are no thoughts of this one.
    case "reasoning":
      return [];
    default:
      return cannot(part);
  }
}

function mediaOf(part: Extract<Part, { url: string }>): Fields {
  const inline = dataUrl(part.url);
  if (inline !== undefined) {
    return { inlineData: { mimeType: inline.mediaType, data: inline.data } };
  }
  const mimeType = typeByName(part.url);
  return {
    fileData: mimeType === undefined ? { fileUri: part.url } : { mimeType, fileUri: part.url },
  };
}

const TYPES: Readonly<Record<string, string>> = {
  ...{ png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg", webp: "image/webp" },
  ...{ gif: "image/gif", heic: "image/heic", pdf: "application/pdf" },
};

function typeByName(url: string): string | undefined {
  const ending = /\.([a-z]{3,4})(?:[?#]|$)/i.exec(url)?.[1].toLowerCase() ?? "";
  return Object.hasOwn(TYPES, ending) ? TYPES[ending] : undefined;
}

function argsOf(part: Extract<Part, { type: "call" }>): Fields {
  if (part.arguments.trim() === "") return {};
  try {
    const args: unknown = JSON.parse(part.arguments);
    if (isFields(args)) return args;
  } catch {
    // Said below.
  }
  const call = `the tool call '${part.id.slice(0, 64)}'`;
  throw invalid("messages", `have ${call} whose arguments are no JSON object`);
}

function responseOf(part: Extract<Part, { type: "result" }>, names: Map<string, string>): Fields {
  const name = names.get(part.id);
  if (name === undefined) {
    const rule = `have a result for '${part.id.slice(0, 64)}', which no tool call before it has`;
    throw invalid("messages", rule);
  }
  const text = part.parts.flatMap((one) => (one.type === "text" ? [one.text] : [])).join("");
  const media = part.parts.filter((one) => one.type !== "text").flatMap((p) => partsOf(p, names));
  const response = part.failed ? { error: text } : { output: text };
  const told = { id: part.id, name, response };
  return media.length === 0 ? told : { ...told, parts: media };
}

function toolsOf(tools: readonly Tool[]): unknown[] {
  const functionDeclarations = tools.map((tool) => {
    if (tool.foreign !== undefined) {
      const rule = `is a tool (${tool.name}) that no endpoint of this model can run`;
      throw invalid(tool.foreign.param, rule);
    }
    const { name, description, parameters } = tool;
    return { name, description, parametersJsonSchema: parameters };
  });
  return [{ functionDeclarations }];
}

function choiceOf(choice: ToolChoice | undefined): unknown {
  switch (choice?.type) {
    case undefined:
      return undefined;
    case "auto":
      return { mode: "AUTO" };
    case "none":
      return { mode: "NONE" };
    case "required":
      return { mode: "ANY" };
    case "tool":
      return { mode: "ANY", allowedFunctionNames: [choice.name] };
  }
}

function cannot(part: Part | undefined): never {
  const foreign = part?.type === "foreign" ? part : undefined;
  const kind = foreign?.kind ?? part?.type;
  const rule = `has a part (${kind}) that no endpoint of this model understands`;
  throw invalid(foreign?.param ?? "messages", rule);
}
