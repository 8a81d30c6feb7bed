/**
 * Gemini generateContent, streamGenerateContent (SSE and JSON array), countTokens, embeddings and
 * models as the vendor speaks them. Its JSON is protobuf's: names that it does not know are
 * refused, wherever they stand.
 */
import { vectorOf } from "./chat.ts";
import { countOf } from "./messages.ts";
import {
  type Asked,
  type AskedPart,
  type AskedTool,
  type AskedTurn,
  base64At,
  type Fields,
  fieldsAt,
  isFields,
  joined,
  listAt,
  numberAt,
  Refusal,
  type Say,
  type Scene,
  type Stop,
  textAt,
  type Usage,
  whole,
} from "./scene.ts";
import type { Protocol, Reading, VendorRequest } from "./server.ts";

const KNOWN = {
  body:
    "contents systemInstruction tools toolConfig safetySettings generationConfig " +
    "cachedContent labels serviceTier store model",
  generationConfig:
    "stopSequences responseMimeType responseSchema responseJsonSchema responseModalities " +
    "candidateCount maxOutputTokens temperature topP topK seed presencePenalty " +
    "frequencyPenalty responseLogprobs logprobs enableEnhancedCivicAnswers speechConfig " +
    "thinkingConfig imageConfig mediaResolution",
  content: "role parts",
  part:
    "text thought thoughtSignature inlineData fileData functionCall functionResponse " +
    "executableCode codeExecutionResult videoMetadata partMetadata mediaResolution",
  functionCall: "id name args",
  functionResponse: "id name response willContinue scheduling parts",
  declaration:
    "name description behavior parameters parametersJsonSchema response responseJsonSchema",
};

const FINISH: Record<Stop, string> = {
  ...{ end: "STOP", sequence: "STOP", calls: "STOP", length: "MAX_TOKENS", filter: "SAFETY" },
};

const STATUS: Record<number, string> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  429: "RESOURCE_EXHAUSTED",
  500: "INTERNAL",
  503: "UNAVAILABLE",
  504: "DEADLINE_EXCEEDED",
};

function errorBody({ status, message }: Refusal): unknown {
  // Google answers a bad key with 400 API_KEY_INVALID; a missing one with 403.
  const name = STATUS[status] ?? (status < 500 ? "INVALID_ARGUMENT" : "INTERNAL");
  return { error: { code: status, message, status: name } };
}

export const GEMINI: Protocol = {
  dialect: "gemini",
  key: ({ headers, query }) => headers["x-goog-api-key"] ?? query.get("key") ?? undefined,
  headers: () => ({ "x-gemini-service-tier": "standard", server: "scaffolding on HTTPServer2" }),
  errorBody,
  errorEvent: (refusal, asked) => framed([errorBody(refusal)], asked, false),
  read,
  whole: answer,
  events: (scene, asked) => framed(chunks(scene, asked), asked, true),
};

/** The requests whose stream is a JSON array. */
const arrays = new WeakSet<Asked>();

function framed(values: unknown[], asked: Asked, fromStart: boolean): string[] {
  if (!arrays.has(asked)) return values.map((value) => `data: ${JSON.stringify(value)}\r\n\r\n`);
  const frames = values.map((value, n) => {
    return `${fromStart && n === 0 ? "[" : ",\r\n"}${JSON.stringify(value, null, 2)}`;
  });
  return frames.concat("\n]\n");
}

const PATH = /^\/v1(?:beta)?\/models(?:\/(.+?))?(?::([A-Za-z]+))?$/;

function read(request: VendorRequest): Reading {
  const { method, path, query, models } = request;
  const match = PATH.exec(path);
  if (match === null) throw new Refusal(404, "Requested entity was not found.");
  const [, name, verb] = match;
  if (method === "GET" && name === undefined) {
    return { kind: "reply", body: { models: models.map(modelObject) } };
  }
  const model = knownModel(name, models);
  if (method === "GET" && verb === undefined) return { kind: "reply", body: modelObject(model) };
  const body = fieldsAt(request.body, "body");
  switch (verb) {
    case "generateContent":
      return { kind: "generate", asked: readAsked(body, model, false) };
    case "streamGenerateContent": {
      const asked = readAsked(body, model, true);
      if (query.get("alt") === "sse") return { kind: "generate", asked };
      arrays.add(asked);
      return { kind: "generate", asked, contentType: "application/json; charset=UTF-8" };
    }
    case "countTokens":
      known(body, "contents generateContentRequest model", "");
      return { kind: "reply", body: countTokens(body, model) };
    case "embedContent":
      return { kind: "reply", body: { embedding: embed(body) } };
    case "batchEmbedContents": {
      const requests = listAt(body.requests, "requests");
      const embeddings = requests.map((one) => embed(fieldsAt(one, "requests")));
      return { kind: "reply", body: { embeddings } };
    }
    default:
      throw new Refusal(404, `Unknown method '${verb ?? ""}'.`);
  }
}

function countTokens(body: Fields, model: string): unknown {
  const inner = body.generateContentRequest;
  const turns = readAsked(inner === undefined ? body : fieldsAt(inner, "r"), model, false).turns;
  const promptTokensDetails = [{ modality: "TEXT", tokenCount: countOf(turns) }];
  return { totalTokens: countOf(turns), promptTokensDetails };
}

function embed(body: Fields): unknown {
  known(body, "model content taskType title outputDimensionality embedContentConfig", "");
  const { parts } = fieldsAt(body.content, "content");
  const texts = listAt(parts, "content.parts").map((part) => textAt(fieldsAt(part, "p").text, "t"));
  return { values: vectorOf(texts.join("")) };
}

const modelObject = (id: string) => ({
  ...{ name: `models/${id}`, version: "001", displayName: id, description: "" },
  ...{ inputTokenLimit: 1_048_576, outputTokenLimit: 65_536, thinking: true },
  supportedGenerationMethods: ["generateContent", "countTokens", "embedContent"],
});

function knownModel(name: string | undefined, models: readonly string[]): string {
  if (name !== undefined && models.includes(name)) return name;
  throw new Refusal(404, `models/${name ?? ""} is not found for API version v1beta.`);
}

/** Protobuf's JSON parser takes `snake_case` for `camelCase` and refuses all other names. */
function known(value: Fields, names: string, at: string): void {
  const all = names.split(" ");
  for (const name of Object.keys(value)) {
    if (all.includes(camel(name))) continue;
    const place = at === "" ? "" : ` at '${at}'`;
    const said = `Unknown name "${name}"${place}: Cannot find field.`;
    throw new Refusal(400, `Invalid JSON payload received. ${said}`);
  }
}

const camel = (name: string): string =>
  name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

function camelled(value: Fields): Fields {
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [camel(name), one]));
}

function readAsked(raw: Fields, model: string, stream: boolean): Asked {
  known(raw, KNOWN.body, "");
  const body = camelled(raw);
  const config = camelled(fieldsAt(body.generationConfig ?? {}, "generation_config"));
  known(config, KNOWN.generationConfig, "generation_config");
  const system = readSystem(body.systemInstruction);
  const schema = config.responseJsonSchema ?? config.responseSchema;
  if (schema !== undefined && config.responseMimeType !== "application/json") {
    throw new Refusal(400, "response_schema needs response_mime_type: application/json");
  }
  return {
    ...{ model, stream },
    ...(system === "" ? {} : { system }),
    turns: readContents(listAt(body.contents, "contents")),
    tools: listAt(body.tools ?? [], "tools").flatMap(readTools),
    ...readChoice(body.toolConfig),
    maxTokens: numberAt(config.maxOutputTokens, "max_output_tokens"),
    temperature: numberAt(config.temperature, "temperature"),
    topP: numberAt(config.topP, "top_p"),
    stops: listAt(config.stopSequences ?? [], "stop_sequences").map((x) => textAt(x, "stop")),
    ...(schema === undefined ? {} : { schema }),
    wantsUsage: true,
  };
}

function readSystem(value: unknown): string {
  if (value === undefined) return "";
  const { parts } = fieldsAt(value, "system_instruction");
  return listAt(parts, "system_instruction.parts")
    .map((part) => textAt(fieldsAt(part, "part").text, "text"))
    .join("\n\n");
}

function readTools(value: unknown): AskedTool[] {
  const tool = camelled(fieldsAt(value, "tools"));
  known(tool, "functionDeclarations googleSearch codeExecution urlContext", "tools[0]");
  return listAt(tool.functionDeclarations ?? [], "function_declarations").map((one) => {
    const made = camelled(fieldsAt(one, "function_declarations"));
    known(made, KNOWN.declaration, "tools[0].function_declarations");
    const { name, description, parameters, parametersJsonSchema } = made;
    const said = description === undefined ? {} : { description: textAt(description, "d") };
    const schema = parametersJsonSchema ?? lowered(parameters);
    return { name: textAt(name, "function_declarations.name"), ...said, schema };
  });
}

/** Gemini's Schema writes types in capitals; the rest is a subset of JSON Schema. */
function lowered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(lowered);
  if (!isFields(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => {
      if (name === "additionalProperties" || name === "$schema") {
        throw new Refusal(400, `Unknown name "${name}" at 'parameters': Cannot find field.`);
      }
      return [name, name === "type" && typeof one === "string" ? one.toLowerCase() : lowered(one)];
    }),
  );
}

function readChoice(value: unknown): Pick<Asked, "choice"> {
  if (value === undefined) return {};
  const { functionCallingConfig } = camelled(fieldsAt(value, "tool_config"));
  if (functionCallingConfig === undefined) return {};
  const config = camelled(fieldsAt(functionCallingConfig, "function_calling_config"));
  const names = listAt(config.allowedFunctionNames ?? [], "allowed_function_names");
  if (config.mode === "ANY" && names.length === 1) {
    return { choice: { name: textAt(names[0], "allowed_function_names") } };
  }
  if (config.mode === "ANY") return { choice: "any" };
  if (config.mode === "NONE") return { choice: "none" };
  if (config.mode === "AUTO") return { choice: "auto" };
  throw new Refusal(400, `Invalid value at 'tool_config.function_calling_config.mode'`);
}

function readContents(contents: unknown[]): AskedTurn[] {
  if (contents.length === 0) throw new Refusal(400, "contents is not specified");
  const turns: AskedTurn[] = [];
  /** Names of the calls of the turn before, which a response must match in number. */
  let open: string[] = [];
  for (const [index, value] of contents.entries()) {
    const where = `contents[${index}]`;
    const content = fieldsAt(value, where);
    known(content, KNOWN.content, where);
    const role = content.role ?? "user";
    if (role !== "user" && role !== "model") {
      throw new Refusal(400, "Please use a valid role: user, model.");
    }
    const parts = listAt(content.parts, `${where}.parts`).map((part, n) =>
      readPart(fieldsAt(part, where), `${where}.parts[${n}]`),
    );
    const results = parts.filter((part) => part.kind === "result");
    if (results.length !== open.length) {
      const said = "the number of function response parts is equal to the number of function call";
      throw new Refusal(400, `Please ensure that ${said} parts of the function call turn.`);
    }
    const rest = parts.filter((part) => part.kind !== "result");
    if (results.length > 0) turns.push({ role: "tool", parts: results });
    if (rest.length > 0) turns.push({ role: role === "model" ? "assistant" : "user", parts: rest });
    open = parts.flatMap((part) => (part.kind === "call" ? [part.name] : []));
  }
  return joined(turns);
}

function readPart(raw: Fields, where: string): AskedPart {
  known(raw, KNOWN.part, where);
  const part = camelled(raw);
  if (part.text !== undefined) {
    const kind = part.thought === true ? "reasoning" : "text";
    return { kind, text: textAt(part.text, `${where}.text`) };
  }
  if (part.inlineData !== undefined) {
    const { mimeType, data } = camelled(fieldsAt(part.inlineData, `${where}.inline_data`));
    const bytes = base64At(textAt(data, `${where}.inline_data.data`), `${where}.inline_data.data`);
    return { kind: "image", media: textAt(mimeType, `${where}.mime_type`), data: bytes };
  }
  if (part.fileData !== undefined) {
    const { fileUri } = camelled(fieldsAt(part.fileData, `${where}.file_data`));
    return { kind: "image", url: textAt(fileUri, `${where}.file_data.file_uri`) };
  }
  if (part.functionCall !== undefined) {
    const call = fieldsAt(part.functionCall, `${where}.function_call`);
    known(call, KNOWN.functionCall, `${where}.function_call`);
    const args = fieldsAt(call.args ?? {}, `${where}.function_call.args`);
    return { kind: "call", name: textAt(call.name, `${where}.function_call.name`), args };
  }
  const result = fieldsAt(part.functionResponse, `${where}: required oneof field 'data'`);
  known(result, KNOWN.functionResponse, `${where}.function_response`);
  const response = fieldsAt(result.response, `${where}.function_response.response`);
  const text = resultText(response);
  return { kind: "result", name: textAt(result.name, `${where}.function_response.name`), text };
}

/** Results are objects; a plain text is by convention under `output`, with the AI SDK `content`. */
function resultText(response: Fields): string {
  for (const key of ["output", "result", "content"]) {
    if (typeof response[key] === "string") return response[key];
  }
  return JSON.stringify(response);
}

function usageOf({ input, cached, output, reasoning }: Usage, done: boolean): unknown {
  const said = done ? output : reasoning;
  return {
    promptTokenCount: input,
    ...(said > reasoning ? { candidatesTokenCount: said - reasoning } : {}),
    totalTokenCount: input + said,
    ...(cached > 0 ? { cachedContentTokenCount: cached } : {}),
    promptTokensDetails: [{ modality: "TEXT", tokenCount: input }],
    ...(reasoning > 0 ? { thoughtsTokenCount: reasoning } : {}),
  };
}

function partOf(one: Say, piece: string): Fields {
  if (one.kind === "text") return { text: piece };
  if (one.kind === "reasoning") return { text: piece, thought: true };
  const functionCall = { id: one.id, name: one.name, args: JSON.parse(whole(one.pieces)) };
  return { functionCall, thoughtSignature: "c2lnbmF0dXJl" };
}

const tail = (model: string) => ({ modelVersion: model, responseId: "gemini-1" });

function answer({ say, stop, usage }: Scene, { model }: Asked): unknown {
  const parts = say.map((one) => partOf(one, whole(one.pieces)));
  const content = parts.length === 0 ? {} : { content: { parts, role: "model" } };
  const candidate = { ...content, finishReason: FINISH[stop], index: 0 };
  return { candidates: [candidate], usageMetadata: usageOf(usage, true), ...tail(model) };
}

/** One part per chunk; the last also says why it ended. */
function chunks({ say, stop, usage }: Scene, { model }: Asked): unknown[] {
  const parts = say.flatMap((one) =>
    one.kind === "call" ? [partOf(one, "")] : one.pieces.map((piece) => partOf(one, piece)),
  );
  const chunk = (said: Fields[], finish: Fields, done: boolean): unknown => ({
    candidates: [{ content: { parts: said, role: "model" }, ...finish, index: 0 }],
    ...{ usageMetadata: usageOf(usage, done), ...tail(model) },
  });
  const last = chunk([{ text: "" }], { finishReason: FINISH[stop] }, true);
  return [...parts.map((part) => chunk([part], {}, false)), last];
}
