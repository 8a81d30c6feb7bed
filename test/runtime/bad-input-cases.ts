/**
 * The table of bad inputs: what is sent, and the status, code and words that must come back. The
 * words name what to change. Raw bytes, because no HTTP client would send most of this.
 */
import { post } from "./raw-http.ts";

export const CHAT = "/v1/chat/completions";
export const messages = [{ role: "user", content: "hello" }];

/** A chat body with these fields on top of a right one. */
export const chat = (fields: object): string => JSON.stringify({ model: "m", messages, ...fields });

export type BadCase = [
  name: string,
  parts: (string | Buffer)[],
  status: number,
  code: string,
  says: RegExp,
];

/** Valid JSON that a recursive walk does not survive. */
export const nested = (depth: number): string => `${"[".repeat(depth)}${"]".repeat(depth)}`;

export const BODIES: BadCase[] = [
  ["broken JSON", post(CHAT, `{"model":"m",`), 400, "invalid_json", /not valid JSON.*line 1/],
  ["an empty body", post(CHAT, ""), 400, "invalid_json", /JSON/],
  ["NaN", post(CHAT, `{"model":"m","temperature":NaN}`), 400, "invalid_json", /line 1/],
  ["a trailing comma", post(CHAT, `{"model":"m",}`), 400, "invalid_json", /column 14/],
  ["an array", post(CHAT, "[1]"), 400, "invalid_request", /JSON object, not an array/],
  ["a string", post(CHAT, `"m"`), 400, "invalid_request", /JSON object, not a string/],
  ["null", post(CHAT, "null"), 400, "invalid_request", /JSON object, not null/],
  [
    "invalid UTF-8",
    post(CHAT, Buffer.concat([Buffer.from(`{"model":"`), Buffer.from([0xff, 0xc3, 0x28])])),
    400,
    "invalid_utf8",
    /UTF-8.*offset 10/,
  ],
  ["100,000 nested arrays", post(CHAT, nested(100_000)), 400, "invalid_request", /not an array/],
  ["100,000 open brackets", post(CHAT, "[".repeat(100_000)), 400, "invalid_json", /JSON/],
  [
    "100,000 nested arrays as messages",
    post(CHAT, `{"model":"m","messages":${nested(100_000)}}`),
    400,
    "invalid_request",
    /'messages\[0\]' must be an object/,
  ],
];

export const FIELDS: [name: string, fields: object | string, param: string, says: RegExp][] = [
  ["no model", { model: undefined }, "model", /'model' is missing/],
  ["a number as model", { model: 7 }, "model", /must be a string, not the number 7/],
  ["an empty model", { model: "" }, "model", /1 to 256 characters/],
  ["no messages", { messages: undefined }, "messages", /messages/],
  ["empty messages", { messages: [] }, "messages", /messages/],
  ["messages as a string", { messages: "hi" }, "messages", /array/],
  ["a message that is a number", { messages: [1] }, "messages[0]", /object/],
  ["a role that is a number", { messages: [{ role: 1 }] }, "messages[0].role", /one of system/],
  [
    "content that is a number",
    { messages: [{ role: "user", content: 3 }] },
    "messages[0].content",
    /string|array/,
  ],
  ["stream as text", { stream: "yes" }, "stream", /true or false, not a string/],
  ["negative max_tokens", { max_tokens: -7 }, "max_tokens", /from -1 to/],
  ["text as max_tokens", { max_tokens: "10" }, "max_tokens", /integer, not a string/],
  ["a fraction as max_tokens", { max_tokens: 1.5 }, "max_tokens", /integer/],
  ["temperature 1e9", { temperature: 1e9 }, "temperature", /from 0 to/],
  ["n = 0", { n: 0 }, "n", /from 1 to/],
  ["n = 1e9", { n: 1e9 }, "n", /from 1 to/],
  ["tools as an object", { tools: {} }, "tools", /array/],
  ["stop as a number", { stop: 5 }, "stop", /string/],
  ["stream_options as text", { stream_options: "x" }, "stream_options", /object/],
  ["response_format as text", { response_format: "json" }, "response_format", /object/],
];

export const HUGE_NUMBERS: BadCase[] = ["max_tokens", "temperature", "n"].map((field) => [
  `${field} = 1e400`,
  post(CHAT, chat({}).replace("{", `{"${field}":1e400,`)),
  400,
  "invalid_request",
  new RegExp(`'${field}'.*too large`),
]);

export const line = (text: string): (string | Buffer)[] => post(CHAT, chat({}), text);

export const HEADERS: BadCase[] = [
  [
    "text/plain",
    line("content-type: text/plain"),
    415,
    "unsupported_media_type",
    /application\/json/,
  ],
  ["gzip", line("content-encoding: gzip"), 415, "unsupported_media_type", /uncompressed/],
  ["a bad region", line("x-grid-region: e u!"), 400, "invalid_request", /x-grid-region/],
  ["a bad SLO", line("x-grid-slo-ttft-ms: fast"), 400, "invalid_request", /greater than 0/],
  ["an SLO of NaN", line("x-grid-slo-itl-ms: NaN"), 400, "invalid_request", /x-grid-slo-itl-ms/],
  ["a bad priority", line("x-grid-priority: high"), 400, "invalid_request", /one of interactive/],
  ["headers of 100 KB", line(`x-big: ${"x".repeat(100_000)}`), 431, "headers_too_large", /header/i],
  ["a NUL in a header", line("x-bad: a\0b"), 400, "malformed_http", /header value/],
  ["a CR in a header", line("x-bad: a\rx-injected: 1"), 400, "malformed_http", /header value/],
  ["a space before the colon", line("x-bad : a"), 400, "malformed_http", /header token/],
  ["a folded header", line("x-bad: a\r\n b"), 400, "malformed_http", /whitespace/],
];

export const head = (text: string): string =>
  `POST ${CHAT} HTTP/1.1\r\nhost: pop\r\n${text}\r\n\r\n`;
export const typed = "content-type: application/json\r\n";

export const FRAMING: BadCase[] = [
  [
    "Content-Length and Transfer-Encoding",
    [head(`${typed}content-length: 5\r\ntransfer-encoding: chunked`), "0\r\n\r\n"],
    400,
    "malformed_http",
    /content-length|transfer-encoding/i,
  ],
  [
    "Transfer-Encoding and Content-Length",
    [head(`${typed}transfer-encoding: chunked\r\ncontent-length: 5`), "0\r\n\r\n"],
    400,
    "malformed_http",
    /content-length|transfer-encoding/i,
  ],
  [
    "two lengths",
    [head("content-length: 5\r\ncontent-length: 6"), "hello"],
    400,
    "malformed_http",
    /length/i,
  ],
  ["a list of lengths", [head("content-length: 5, 5"), "hello"], 400, "malformed_http", /length/i],
  ["a negative length", [head("content-length: -1")], 400, "malformed_http", /length/i],
  ["a signed length", [head("content-length: +5"), "hello"], 400, "malformed_http", /length/i],
  [
    "chunked twice",
    [head("transfer-encoding: chunked, identity"), "0\r\n\r\n"],
    400,
    "malformed_http",
    /Transfer-Encoding/,
  ],
  [
    "an unknown coding",
    [head("transfer-encoding: xchunked"), "0\r\n\r\n"],
    400,
    "malformed_http",
    /Transfer-Encoding/,
  ],
  [
    "a bad chunk size",
    [head("transfer-encoding: chunked"), "zz\r\n\r\n"],
    400,
    "malformed_http",
    /chunk/i,
  ],
  ["no HTTP at all", ["hello there\r\n\r\n"], 400, "malformed_http", /method/],
  ["HTTP/9.9", [`GET /healthz HTTP/9.9\r\nhost: pop\r\n\r\n`], 400, "malformed_http", /version/],
];

export const METHODS: [method: string, path: string, allow: string][] = [
  ["GET", CHAT, "POST"],
  ["PUT", CHAT, "POST"],
  ["DELETE", CHAT, "POST"],
  ["PATCH", "/v1/completions", "POST"],
  ["TRACE", "/v1/embeddings", "POST"],
  ["POST", "/v1/models", "GET, HEAD"],
  ["POST", "/healthz", "GET, HEAD"],
  ["DELETE", "/metrics", "GET, HEAD"],
  ["GET", "/grid/explain", "POST"],
];
