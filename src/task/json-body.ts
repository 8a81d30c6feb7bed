/** From the bytes of a request to the JSON object in them, or to the error that says where not. */
import { GridError } from "../grid/errors.ts";
import { type Fields, invalid, isFields, kindOf } from "./body-fields.ts";
import { findJsonFault, findUtf8Fault } from "./json-scan.ts";

/** Fatal UTF-8 decoder; it throws on bytes that are not UTF-8. */
export type Decode = (bytes: Uint8Array) => string;

const NAME_LENGTH_MAX = 256;

/** @throws GridError invalid_utf8, invalid_json, invalid_request */
export function readJsonBody(bytes: Uint8Array, decode: Decode): Fields {
  return parseFields(decodeText(bytes, decode));
}

/** A byte order mark is taken off. */
export function withoutMark(bytes: Uint8Array): Uint8Array {
  const marked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  return marked ? bytes.subarray(3) : bytes;
}

function decodeText(bytes: Uint8Array, decode: Decode): string {
  try {
    return decode(bytes);
  } catch (cause) {
    const at = findUtf8Fault(bytes);
    const where = at < 0 ? "" : ` (first wrong byte at offset ${at})`;
    const message = `The request body is not valid UTF-8${where}. Send JSON encoded as UTF-8.`;
    throw new GridError("invalid_utf8", message, { cause });
  }
}

function parseFields(text: string): Fields {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (cause) {
    const fault = findJsonFault(text);
    const message =
      fault === undefined
        ? "The request body is nested too deeply to be parsed."
        : `The request body is not valid JSON: ${fault.problem}, at line ${fault.line}, ` +
          `column ${fault.column}.`;
    // The runtime's own error may quote the prompt: it is not kept as the cause.
    throw new GridError("invalid_json", message, { cause: (cause as Error).name });
  }
  if (isFields(body)) return body;
  throw new GridError(
    "invalid_request",
    `The request body must be a JSON object, not ${kindOf(body)}.`,
  );
}

/** @throws GridError invalid_request */
export function modelOf(body: Fields): string {
  const model = body.model;
  if (model === undefined || model === null) {
    throw invalid("model", "is missing: name the model to use, as GET /v1/models lists them");
  }
  if (typeof model !== "string") throw invalid("model", `must be a string, not ${kindOf(model)}`);
  if (model.length > 0 && model.length <= NAME_LENGTH_MAX) return model;
  throw invalid("model", `must have 1 to ${NAME_LENGTH_MAX} characters, not ${model.length}`);
}
