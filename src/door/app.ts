/**
 * The front door: HTTP routes of the PoP (Hono). Every answer is written through the Exchange;
 * what a handler returns is only the marker that Hono wants to hold. What is checked here is
 * what needs no body: route, method, media type, key.
 */
import { type Context, Hono } from "hono";
import type { PopConfig } from "../config.ts";
import { GridError } from "../grid/errors.ts";
import type { BodyRoom, Exchange, Headers } from "../grid/exchange.ts";
import type { Caller } from "../proxy.ts";
import type { ResponseStore } from "../state/response-store.ts";
import { DOORS, HOT_PATHS, type Route, ROUTES } from "../task/route.ts";
import type { Authenticator } from "./auth.ts";
import { answerDrain, type DrainHouse } from "./admin.ts";
import { checkDialectHeaders } from "./dialect-headers.ts";
import { HELD_PATH, type HeldAbroad, serveHeld } from "./held-abroad.ts";
import { geminiExchange, geminiRoute, withQueryKey } from "./gemini.ts";
import { MODEL_FORMS, type ServedModel } from "./models.ts";
import { nothingAt } from "./not-found.ts";
import { openApi } from "./openapi.ts";
import type { PeerGate } from "./peer.ts";
import { dialectOf } from "./error-forms.ts";
import { openRealtimeSocket } from "./realtime.ts";
import { checkMedia, replyError, replyJson } from "./reply.ts";
import { errorHeaders } from "./rescue.ts";
import * as responses from "./responses.ts";
import type { Sockets } from "./sockets.ts";

export type DoorEnv = { Bindings: { exchange: Exchange; sent: Response } };

export interface Door {
  /** @returns `sent`: the answer is the Exchange's */
  fetch(request: Request, env: DoorEnv["Bindings"]): Response | Promise<Response>;
}

/** What stands behind the door. */
export interface House extends DrainHouse {
  auth: Authenticator;
  /** Who may hand requests over to this PoP. */
  peers: PeerGate;
  sockets: Sockets;
  /** What was answered here and may be continued. */
  responses: ResponseStore;
  /** The same at other PoPs; undefined = this one stands alone. */
  abroad: HeldAbroad | undefined;
  bodyRoom: BodyRoom;
  limits(): PopConfig["limits"];
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
/** What needs nothing of Hono's. */
type PlainHandler = (exchange: Exchange) => void | Promise<void>;

const encoder = new TextEncoder();

export function createDoor(house: House): Door {
  const app = new Hono<DoorEnv>();
  // One handler per path: with two, Hono composes a chain of promises for every request.
  const on: On = (methods, path, handler) => {
    const allowed = methods.split(" ").flatMap((x) => (x === "GET" ? ["GET", "HEAD"] : [x]));
    const refuse: Handler = (exchange) => wrongMethod(exchange, path, allowed);
    app.all(path, (c) => {
      const { method } = c.env.exchange;
      const what = allowed.includes(method) ? handler : refuse;
      return run(house, c.env, (exchange) => what(exchange, c));
    });
  };
  // What most requests ask for goes past the router; written otherwise it is found by it.
  const hot = new Map<string, PlainHandler>();
  for (const [path, route] of HOT_PATHS) {
    const serve: PlainHandler = (exchange) => serveRoute(house, exchange, route);
    on("POST", path, serve);
    hot.set(path, serve);
  }
  addResponses(house, on);
  on("GET", "/v1/realtime", (exchange) => openRealtimeSocket(house, exchange));
  for (const version of ["/v1", "/v1beta"]) {
    on("GET", `${version}/models`, (exchange) => listModels(house, exchange));
    on("GET POST", `${version}/models/:model{.+}`, (exchange, c) => modelPath(house, exchange, c));
  }
  on("GET", "/openapi.json", (exchange) => replyJson(exchange, 200, openApi()));
  on("GET", "/healthz", (exchange) => replyJson(exchange, 200, { status: "ok" }));
  on("GET", "/readyz", (exchange) => ready(house, exchange));
  on("GET", "/metrics", (exchange) => metrics(house, exchange));
  on("GET", "/grid/state", (exchange) => state(house, exchange));
  on("GET POST DELETE", "/grid/drain", (exchange) => drain(house, exchange));
  on("POST", "/grid/explain", (exchange) => explain(house, exchange));
  app.notFound((c) => run(house, c.env, notFound));
  return {
    fetch: (request, env) => {
      const { method, path } = env.exchange;
      const serve = method === "POST" ? hot.get(path) : undefined;
      return serve === undefined ? app.fetch(request, env) : run(house, env, serve);
    },
  };
}

type On = (methods: string, path: string, handler: Handler) => void;

/**
 * What stands where an id may stand is told apart here: two patterns for one place would make Hono
 * leave its quick router, for all paths.
 */
function addResponses(house: House, on: On): void {
  const path = "/v1/responses";
  on("GET POST", path, (exchange) =>
    exchange.method === "POST"
      ? responses.serveResponses(house, exchange, "responses")
      : responses.openResponsesSocket(house, exchange),
  );
  const verbs = new Map<string, Handler>([
    ["input_tokens", (exchange) => responses.serveResponses(house, exchange, "input-tokens")],
    ["compact", (exchange) => responses.compactResponse(house, exchange)],
  ]);
  const named =
    (answer: (house: House, exchange: Exchange, id: string) => Promise<void>): Handler =>
    (exchange, c) =>
      answer(house, exchange, c.req.param("id") ?? "");
  const get = named(responses.getResponse);
  const remove = named(responses.deleteResponse);
  on("GET POST DELETE", `${path}/:id`, (exchange, c) => {
    const { method } = exchange;
    const id = c.req.param("id") ?? "";
    const verb = verbs.get(id);
    if (verb !== undefined && method === "POST") return verb(exchange, c);
    if (verb !== undefined) return wrongMethod(exchange, `${path}/${id}`, ["POST"]);
    if (method === "POST") return wrongMethod(exchange, `${path}/:id`, ["GET", "HEAD", "DELETE"]);
    return method === "DELETE" ? remove(exchange, c) : get(exchange, c);
  });
  on("POST", `${path}/:id/cancel`, named(responses.cancelResponse));
  on("GET", `${path}/:id/input_items`, named(responses.inputItems));
  on("GET DELETE", `${HELD_PATH}/:id`, (exchange, c) =>
    serveHeld(house, exchange, c.req.param("id") ?? ""),
  );
}

/** Runs a handler; whatever it throws becomes the caller's error. Returns Hono's marker at once. */
function run(
  house: House,
  { exchange, sent }: DoorEnv["Bindings"],
  handler: PlainHandler,
): Response {
  try {
    const result = handler(exchange);
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
  await house.auth.admin(exchange.headers);
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
  throw nothingAt(exchange.method, exchange.path);
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
