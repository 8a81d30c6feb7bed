/**
 * The front door: HTTP routes of the PoP (Hono). Every answer is written through the Exchange;
 * what a handler returns is only the marker that Hono wants to hold. What is checked here is
 * what needs no body: route, method, media type, key.
 */
import { type Context, Hono } from "hono";
import type { Dialect } from "../grid/dialect.ts";
import { GridError } from "../grid/errors.ts";
import type { Exchange, Headers } from "../grid/exchange.ts";
import type { Caller } from "../proxy.ts";
import { DOORS, type Route, ROUTES } from "../task/route.ts";
import type { Authenticator } from "./auth.ts";
import { answerDrain, type DrainHouse } from "./admin.ts";
import { checkDialectHeaders } from "./dialect-headers.ts";
import { geminiExchange, geminiRoute, withQueryKey } from "./gemini.ts";
import { MODEL_FORMS, type ServedModel } from "./models.ts";
import type { PeerGate } from "./peer.ts";
import { dialectOf, errorBody, nameRequest } from "./error-forms.ts";
import { errorHeaders } from "./rescue.ts";

export type DoorEnv = { Bindings: { exchange: Exchange; sent: Response } };

/** What stands behind the door. */
export interface House extends DrainHouse {
  auth: Authenticator;
  /** Who may hand requests over to this PoP. */
  peers: PeerGate;
  serve(exchange: Exchange, route: Route, caller: Caller): Promise<void>;
  models(): ServedModel[];
  /** Undefined = ready; else why not. */
  notReady(): string | undefined;
  /** Prometheus text; of all processes where there are several. */
  metrics(): string | Promise<string>;
  state(): unknown;
  explain(exchange: Exchange, route: Route, caller: Caller): Promise<unknown>;
  requestId(headers: Headers): string;
  /** Counts an answer that was refused before it became a task. */
  refused(error: GridError): void;
}

type Handler = (exchange: Exchange, c: Context<DoorEnv>) => void | Promise<void>;

const JSON_TYPE = /^application\/(json|[\w.+-]+\+json)\s*(;|$)/i;
const encoder = new TextEncoder();

export function createDoor(house: House): Hono<DoorEnv> {
  const app = new Hono<DoorEnv>();
  // One handler per path: with two, Hono composes a chain of promises for every request.
  const on = (methods: string, path: string, handler: Handler): void => {
    const allowed = methods.split(" ").flatMap((x) => (x === "GET" ? ["GET", "HEAD"] : [x]));
    const refuse: Handler = (exchange) => wrongMethod(exchange, path, allowed);
    app.all(path, (c) => {
      return run(house, c, allowed.includes(c.env.exchange.method) ? handler : refuse);
    });
  };
  for (const route of ROUTES.filter((one) => !DOORS[one].path.includes("{model}"))) {
    on("POST", `/v1${DOORS[route].path}`, (exchange) => serveRoute(house, exchange, route));
  }
  for (const version of ["/v1", "/v1beta"]) {
    on("GET", `${version}/models`, (exchange) => listModels(house, exchange));
    on("GET POST", `${version}/models/:model{.+}`, (exchange, c) => modelPath(house, exchange, c));
  }
  on("GET", "/healthz", (exchange) => replyJson(exchange, 200, { status: "ok" }));
  on("GET", "/readyz", (exchange) => ready(house, exchange));
  on("GET", "/metrics", (exchange) => metrics(house, exchange));
  on("GET", "/grid/state", (exchange) => state(house, exchange));
  on("GET POST DELETE", "/grid/drain", (exchange) => drain(house, exchange));
  on("POST", "/grid/explain", (exchange) => explain(house, exchange));
  app.notFound((c) => run(house, c, notFound));
  return app;
}

/** Runs a handler; whatever it throws becomes the caller's error. Returns Hono's marker at once. */
function run(house: House, c: Context<DoorEnv>, handler: Handler): Response {
  const { exchange, sent } = c.env;
  try {
    const result = handler(exchange, c);
    if (result instanceof Promise) result.catch((cause) => fail(house, exchange, cause));
  } catch (cause) {
    fail(house, exchange, cause);
  }
  return sent;
}

function serveRoute(house: House, exchange: Exchange, route: Route): void | Promise<void> {
  checkMedia(exchange.headers);
  checkDialectHeaders(DOORS[route].dialect, exchange.headers);
  const caller = house.peers.caller(exchange) ?? house.auth.caller(exchange.headers);
  if (caller instanceof Promise) {
    return caller.then((known) => house.serve(exchange, route, known));
  }
  return house.serve(exchange, route, caller);
}

function checkMedia(headers: Headers): void {
  const type = headers["content-type"];
  if (type !== undefined && !JSON_TYPE.test(type)) {
    throw new GridError(
      "unsupported_media_type",
      `content-type '${type.slice(0, 100)}' is not supported. Send 'application/json'.`,
    );
  }
  const encoding = headers["content-encoding"];
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    throw new GridError(
      "unsupported_media_type",
      `content-encoding '${encoding.slice(0, 100)}' is not supported. Send the body uncompressed.`,
    );
  }
}

/** A model to be shown, or one that Google's clients call by the verb behind its name. */
function modelPath(house: House, exchange: Exchange, c: Context<DoorEnv>): void | Promise<void> {
  if (exchange.method !== "POST") return oneModel(house, exchange, c);
  return serveRoute(house, geminiExchange(exchange), geminiRoute(exchange));
}

async function listModels(house: House, exchange: Exchange): Promise<void> {
  const caller = await house.auth.caller(withQueryKey(exchange));
  const form = MODEL_FORMS[dialectOf(exchange)];
  const query = new URLSearchParams(exchange.query);
  replyJson(exchange, 200, form.list(modelsFor(house, caller), query));
}

async function oneModel(house: House, exchange: Exchange, c: Context<DoorEnv>): Promise<void> {
  const caller = await house.auth.caller(withQueryKey(exchange));
  const id = decodePath(c.req.param("model") ?? "");
  const model = modelsFor(house, caller).find((known) => known.id === id);
  if (model === undefined) {
    throw new GridError(
      "model_not_found",
      `The model '${id.slice(0, 200)}' is not served here. See GET /v1/models.`,
      { param: "model" },
    );
  }
  replyJson(exchange, 200, MODEL_FORMS[dialectOf(exchange)].one(model));
}

/** What the key may use; a key without a list may use all. */
function modelsFor(house: House, caller: Caller): ServedModel[] {
  const all = house.models();
  return caller.models.length === 0 ? all : all.filter(({ id }) => caller.models.includes(id));
}

function decodePath(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function ready(house: House, exchange: Exchange): void {
  const reason = house.notReady();
  if (reason === undefined) replyJson(exchange, 200, { status: "ready" });
  else replyJson(exchange, 503, { status: "not ready", reason });
}

async function metrics(house: House, exchange: Exchange): Promise<void> {
  const body = encoder.encode(await house.metrics());
  exchange.head(200, {
    "content-type": "text/plain; version=0.0.4; charset=utf-8",
    "content-length": String(body.byteLength),
  });
  exchange.end(body);
}

async function state(house: House, exchange: Exchange): Promise<void> {
  await house.auth.admin(exchange.headers);
  replyJson(exchange, 200, house.state());
}

async function drain(house: House, exchange: Exchange): Promise<void> {
  await house.auth.admin(exchange.headers);
  replyJson(exchange, 200, answerDrain(house, exchange));
}

async function explain(house: House, exchange: Exchange): Promise<void> {
  checkMedia(exchange.headers);
  const caller = await house.auth.admin(exchange.headers);
  const wanted = new URLSearchParams(exchange.query).get("route") ?? "chat";
  const route = ROUTES.find((known) => known === wanted);
  if (route === undefined) {
    const known = ROUTES.join(", ");
    throw new GridError("invalid_request", `Query parameter route must be one of ${known}.`, {
      param: "route",
    });
  }
  replyJson(exchange, 200, await house.explain(exchange, route, caller));
}

function notFound(exchange: Exchange): void {
  throw new GridError(
    "not_found",
    `Nothing is at ${exchange.method} ${exchange.path.slice(0, 200)}. This PoP serves POST ` +
      `${ROUTES.map((route) => `/v1${DOORS[route].path}`).join(", ")} and GET /v1/models. ` +
      "What has a model in its path is at /v1beta too.",
  );
}

class MethodError extends GridError {
  readonly allow: string;

  constructor(message: string, allow: string) {
    super("method_not_allowed", message);
    this.allow = allow;
  }
}

function wrongMethod(exchange: Exchange, path: string, allowed: readonly string[]): void {
  const use = allowed.filter((method) => method !== "HEAD").join(", ");
  const message = `${exchange.method} is not supported at ${path}. Use ${use}.`;
  throw new MethodError(message, allowed.join(", "));
}

function fail(house: House, exchange: Exchange, cause: unknown): void {
  const error =
    cause instanceof GridError
      ? cause
      : new GridError("internal", "The proxy failed on this request.", { cause });
  house.refused(error);
  const headers = errorHeaders(error, false);
  if (error instanceof MethodError) headers["allow"] = error.allow;
  const dialect = dialectOf(exchange);
  replyError(exchange, dialect, error, headers, house.requestId(exchange.headers));
}

/** The error as a plain answer, in the dialect of the caller. */
export function replyError(
  exchange: Exchange,
  dialect: Dialect,
  error: GridError,
  headers: Headers,
  requestId: string,
): void {
  if (exchange.closed) return;
  if (exchange.headSent) return exchange.destroy(error);
  nameRequest(dialect, headers, requestId);
  replyBytes(exchange, error.status, errorBody(dialect, error, requestId), headers);
}

export function replyJson(
  exchange: Exchange,
  status: number,
  value: unknown,
  headers: Headers = {},
): void {
  replyBytes(exchange, status, encoder.encode(JSON.stringify(value)), headers);
}

function replyBytes(exchange: Exchange, status: number, body: Uint8Array, headers: Headers): void {
  headers["content-type"] = "application/json";
  headers["content-length"] = String(body.byteLength);
  exchange.head(status, headers);
  exchange.end(body);
}
