/**
 * The little of HTTP that both engine servers share: bodies with a limit, JSON answers, errors in
 * OpenAI's form. Plain `node:http` and callbacks, because the emulated engine is also the target
 * of load tests and must cost less than what is measured in front of it.
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** An answer with status and a body in OpenAI's error form. */
export class ApiError extends Error {
  readonly status: number;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | number | null;

  constructor(
    status: number,
    type: string,
    message: string,
    param: string | null = null,
    code: string | number | null = status,
  ) {
    super(message);
    this.status = status;
    this.type = type;
    this.param = param;
    this.code = code;
  }

  get body(): string {
    const { message, type, param, code } = this;
    return JSON.stringify({ error: { message, type, param, code } });
  }
}

export function badRequest(message: string, param: string | null = null): ApiError {
  return new ApiError(400, "BadRequestError", message, param);
}

const BODY_LIMIT = 32 * 1024 * 1024;
const TEXT_PLAIN = "text/plain; charset=utf-8";

/** Collects the body, then calls `done` once; too long a body is answered with 413 here. */
export function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  done: (body: string) => void,
): void {
  const parts: Buffer[] = [];
  let length = 0;
  request.on("data", (part: Buffer) => {
    length += part.length;
    if (length <= BODY_LIMIT) parts.push(part);
    else if (!response.headersSent) {
      sendError(response, new ApiError(413, "BadRequestError", `body over ${BODY_LIMIT} bytes`));
      request.destroy();
    }
  });
  request.on("end", () => {
    if (length > BODY_LIMIT) return;
    done(parts.length === 1 ? parts[0].toString() : Buffer.concat(parts).toString());
  });
}

/** @throws ApiError 400 unless the text is a JSON object. */
export function parseObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw badRequest(`the body is not valid JSON: ${(error as Error).message}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw badRequest("the body must be a JSON object");
  }
  return value as Record<string, unknown>;
}

export function sendText(
  response: ServerResponse,
  status: number,
  text: string,
  contentType: string = TEXT_PLAIN,
  extra: readonly string[] = [],
): void {
  if (response.headersSent || response.destroyed) return;
  const length = Buffer.byteLength(text);
  const headers = ["content-type", contentType, "content-length", String(length), ...extra];
  response.writeHead(status, headers);
  response.end(text);
}

export function sendJson(response: ServerResponse, status: number, json: string): void {
  if (response.headersSent || response.destroyed) return;
  const length = String(Buffer.byteLength(json));
  response.writeHead(status, ["content-type", "application/json", "content-length", length]);
  response.end(json);
}

export function sendError(
  response: ServerResponse,
  error: ApiError,
  extra: readonly string[] = [],
): void {
  sendText(response, error.status, error.body, "application/json", extra);
}

/** Any thrown value as an answer: ApiError as it is, the rest as 500. */
export function sendThrown(response: ServerResponse, thrown: unknown): void {
  if (thrown instanceof ApiError) return sendError(response, thrown);
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  sendError(response, new ApiError(500, "InternalServerError", why));
}

/** @throws ApiError 401 unless the bearer token is `apiKey`. */
export function checkKey(request: IncomingMessage, apiKey: string | undefined): void {
  if (apiKey === undefined || request.headers.authorization === `Bearer ${apiKey}`) return;
  throw new ApiError(401, "AuthenticationError", "Unauthorized: send the engine's API key");
}

/** Listens; resolves with the base URL. Rejects with a sentence when the port is taken. */
export function listen(server: Server, host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => {
      const busy = error.code === "EADDRINUSE";
      const why = busy ? `port ${port} on ${host} is in use; choose another --port` : error.message;
      reject(new Error(why, { cause: error }));
    };
    server.once("error", fail);
    server.listen(port, host, () => {
      server.off("error", fail);
      const address = server.address() as AddressInfo;
      const name = address.family === "IPv6" ? `[${address.address}]` : address.address;
      resolve(`http://${name}:${address.port}`);
    });
  });
}

/** The path of a request without its query. */
export function pathOf(request: IncomingMessage): string {
  const url = request.url ?? "/";
  const query = url.indexOf("?");
  return query < 0 ? url : url.slice(0, query);
}
