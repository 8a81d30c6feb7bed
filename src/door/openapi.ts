/**
 * `GET /openapi.json`: what this PoP's door takes and answers, made of the tables that route and of
 * the schemas that check. Vendors' own descriptions say more of each API; this one says what is
 * promised here.
 */
import type { Dialect } from "../grid/dialect.ts";
import { BODY_SCHEMAS } from "../task/body-schemas.ts";
import { DOORS, type Route, ROUTES } from "../task/route.ts";

type Json = Record<string, unknown>;

const WISHES: readonly [name: string, type: string, description: string][] = [
  ["x-grid-session", "string", "Conversation to keep where its KV cache is."],
  ["x-grid-slo-ttft-ms", "number", "Target for the time to first token, ms."],
  ["x-grid-slo-itl-ms", "number", "Target for the time between tokens, ms."],
  ["x-grid-region", "string", "Where the data may go: eu, or eu-de,eu-fr."],
  ["x-grid-max-cost", "number", "Most that the request may cost, USD."],
  ["x-grid-priority", "string", "interactive, default or batch."],
  ["x-grid-slice", "string", "Network slice that it came on."],
];

const TEXT = { type: "string" };
const OPENAI_ERROR: Json = {
  type: "object",
  required: ["error"],
  properties: {
    error: {
      type: "object",
      required: ["message", "type", "param", "code"],
      properties: {
        message: TEXT,
        type: TEXT,
        param: { type: ["string", "null"] },
        code: { type: ["string", "null"] },
      },
    },
  },
};

/** Errors by dialect, as its SDKs read them. */
const ERRORS: Readonly<Record<Dialect, Json>> = {
  chat: OPENAI_ERROR,
  gemini: {
    type: "object",
    required: ["error"],
    properties: {
      error: {
        type: "object",
        required: ["code", "message", "status"],
        properties: { code: { type: "integer" }, message: TEXT, status: TEXT },
      },
    },
  },
  messages: {
    type: "object",
    required: ["type", "error", "request_id"],
    properties: {
      type: { const: "error" },
      error: {
        type: "object",
        required: ["type", "message"],
        properties: { type: TEXT, message: TEXT, details: { type: "object" } },
      },
      request_id: TEXT,
    },
  },
  responses: OPENAI_ERROR,
};

const json = (schema: Json): Json => ({ "application/json": { schema } });
const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });

function answers(dialect: Dialect, streams: boolean): Json {
  const stream = streams ? { "text/event-stream": { schema: TEXT } } : {};
  const content = { ...json({ type: "object" }), ...stream };
  return {
    "200": { description: "The engine's answer, in the dialect of the path.", content },
    default: { description: "An error.", content: json(ref(`${dialect}-error`)) },
  };
}

const PARAMETERS = WISHES.map(([name, type, description]) => {
  return { name, in: "header", required: false, description, schema: { type } };
});
const IN_PATH = { name: "model", in: "path", required: true, schema: TEXT };

/** The paths of a door: one, and another for streams where they have their own. */
function routeItems(route: Route): [string, Json][] {
  const { dialect, operation, path, streamPath } = DOORS[route];
  const streams = operation === "generate" || operation === "complete";
  // Google's version is v1beta; v1 is taken as well.
  const version = dialect === "gemini" ? "/v1beta" : "/v1";
  const own: [string, Json] = [
    version + path,
    item(route, route, path, answers(dialect, streams && streamPath === undefined)),
  ];
  if (streamPath === undefined) return [own];
  const stream = streamPath.replace(/\?.*$/, "");
  return [own, [version + stream, item(route, `${route}-stream`, stream, answers(dialect, true))]];
}

function item(route: Route, operationId: string, path: string, responses: Json): Json {
  return {
    post: {
      operationId,
      tags: [DOORS[route].dialect],
      parameters: path.includes("{model}") ? [IN_PATH, ...PARAMETERS] : PARAMETERS,
      requestBody: { required: true, content: json(ref(route)) },
      responses,
    },
  };
}

function reading(operationId: string, description: string, type = "application/json"): Json {
  const content = { [type]: { schema: type === "application/json" ? { type: "object" } : TEXT } };
  return { get: { operationId, responses: { "200": { description, content } } } };
}

export function openApi(): Json {
  const routes = ROUTES.flatMap(routeItems);
  const bodies = ROUTES.map((route) => [route, BODY_SCHEMAS[route]]);
  const errors = Object.entries(ERRORS).map(([dialect, form]) => [`${dialect}-error`, form]);
  const bearer = { type: "http", scheme: "bearer" };
  return {
    openapi: "3.1.0",
    info: {
      title: "Gridpoint",
      version: "1",
      description: "Inference at this point of presence, in the dialects of several vendors.",
    },
    security: [{}, { bearer: [] }, { key: [] }],
    paths: {
      ...Object.fromEntries(routes),
      "/v1/models": reading("models", "What the endpoints serve, in the caller's form."),
      "/healthz": reading("healthz", "The process lives."),
      "/readyz": reading("readyz", "It can serve."),
      "/metrics": reading("metrics", "Prometheus text.", "text/plain"),
      "/grid/state": reading("state", "The grid as this PoP sees it."),
    },
    components: {
      schemas: Object.fromEntries([...bodies, ...errors]),
      securitySchemes: { bearer, key: { type: "apiKey", in: "header", name: "x-api-key" } },
    },
  };
}
