/**
 * What an endpoint says of itself, read without costing it anything: health, model list, version,
 * and which routes exist. Never a generation. A read that fails leaves its fact undefined; only
 * health and a refused key decide the phase.
 */
import { CAPABILITY, type Phase } from "../grid/endpoint.ts";
import type { SmallResponse } from "../grid/exchange.ts";
import type { Family } from "./families.ts";
import { count } from "./load-read.ts";
import type { ModelInfo, Probe } from "./worker.ts";

/** Sends one small request to the endpoint. Throws GridError when nothing came back. */
export type Ask = (method: "GET" | "POST", path: string, body?: string) => Promise<SmallResponse>;

type Json = Record<string, unknown>;

const MODELS_MAX = 4_096;
const MODEL_ID_MAX = 512;
const DETAIL_MAX = 200;

const decoder = new TextDecoder();

export function textOf(response: SmallResponse): string {
  return decoder.decode(response.body);
}

/** The body as JSON, or undefined where it is none. */
export function jsonOf(response: SmallResponse): unknown {
  try {
    return JSON.parse(textOf(response));
  } catch {
    return undefined;
  }
}

async function askJson(ask: Ask, path: string | undefined): Promise<unknown> {
  if (path === undefined) return undefined;
  try {
    const response = await ask("GET", path);
    return response.status === 200 ? jsonOf(response) : undefined;
  } catch {
    return undefined;
  }
}

const isAbsent = (status: number) => status === 404 || status === 405;

/**
 * The first health path that exists decides.
 * @throws GridError when the endpoint does not answer
 */
export async function probePhase(ask: Ask, family: Family): Promise<Probe> {
  for (const path of family.health) {
    const response = await ask("GET", path);
    if (!isAbsent(response.status)) return phaseOf(response, path);
  }
  const tried = family.health.join(", ");
  return { phase: "down", detail: `none of ${tried} exists: check url and engine` };
}

function phaseOf(response: SmallResponse, path: string): Probe {
  const { status } = response;
  // 429: full, and so alive.
  if ((status >= 200 && status < 300) || status === 429) return { phase: "ready" };
  if (status === 401 || status === 403) return refusedKey(status, path);
  const said = textOf(response).slice(0, DETAIL_MAX).trim();
  const detail = `${path} answered ${status}${said === "" ? "" : `: ${said}`}`;
  return { phase: unreadyPhase(said), detail };
}

export function refusedKey(status: number, path: string): Probe {
  return { phase: "down", detail: `${path} answered ${status}: check the endpoint's API key` };
}

/** Engines tell a start from a death only in words. */
function unreadyPhase(said: string): Phase {
  if (/load|start|warm|initial/i.test(said)) return "loading";
  if (/shut|drain|terminat/i.test(said)) return "draining";
  if (/sleep/i.test(said)) return "sleeping";
  return "down";
}

/** Models of an OpenAI list; undefined = could not be read, with the status that said so. */
export async function probeModels(
  ask: Ask,
  family: Family,
): Promise<{ models?: ModelInfo[]; status: number }> {
  try {
    const response = await ask("GET", family.models);
    const { status } = response;
    return { models: status === 200 ? modelsOf(jsonOf(response)) : undefined, status };
  } catch {
    return { status: 0 };
  }
}

export function modelsOf(body: unknown): ModelInfo[] | undefined {
  const list = body as Json | undefined | null;
  // Google's list is called so.
  const data = list?.data ?? list?.models;
  if (!Array.isArray(data)) return undefined;
  const models: ModelInfo[] = [];
  for (const entry of data.slice(0, MODELS_MAX) as (Json | null)[]) {
    const id = entry?.id ?? (entry?.name as string | undefined)?.replace?.(/^models\//, "");
    if (typeof id !== "string" || id === "" || id.length > MODEL_ID_MAX) continue;
    const contextTokens = contextOf(entry as Json);
    const model: ModelInfo = contextTokens === undefined ? { id } : { id, contextTokens };
    // vLLM lists adapters as models with a parent.
    if (typeof entry?.parent === "string") model.adapterOf = entry.parent;
    models.push(model);
  }
  return models;
}

/** vLLM, SGLang: max_model_len. Others: context_window, context_length. llama.cpp: meta. */
function contextOf(entry: Json): number | undefined {
  const meta = (entry.meta ?? {}) as Json;
  const said = [
    entry.max_model_len,
    entry.context_window,
    entry.context_length,
    entry.max_context_length,
    entry.max_input_tokens, // Anthropic
    entry.inputTokenLimit, // Google
    meta.n_ctx,
    meta.n_ctx_train,
  ];
  for (const value of said) {
    const tokens = count(value);
    if (tokens) return Math.floor(tokens);
  }
  return undefined;
}

export async function probeVersion(ask: Ask, family: Family): Promise<string | undefined> {
  const body = (await askJson(ask, family.version)) as Json | undefined;
  const said = body?.version ?? body?.release ?? body?.build_info;
  return typeof said === "string" && said.length <= DETAIL_MAX ? said : undefined;
}

const ROUTE_PATHS = {
  chat: "/chat/completions",
  completions: "/completions",
  embeddings: "/embeddings",
} as const;

/**
 * CAPABILITY mask, or undefined where the endpoint gives no hint. Features (tools, schemas, …)
 * cannot be read off a server, so they stay the family's; routes and vision can.
 */
export async function probeCapabilities(
  ask: Ask,
  family: Family,
  familyMask: number,
): Promise<number | undefined> {
  const [openapi, props, embeddings] = await Promise.all([
    askJson(ask, family.openapi),
    askJson(ask, family.props),
    probeEmbeddings(ask, family.embeddingsProbe),
  ]);
  const routed = maskFromOpenapi(openapi, family, familyMask);
  const vision = visionOf(props);
  if (routed === undefined && vision === undefined && embeddings === undefined) return undefined;
  let mask = routed ?? familyMask;
  if (vision !== undefined) mask = withBit(mask, CAPABILITY.vision, vision);
  if (embeddings !== undefined) mask = withBit(mask, CAPABILITY.embeddings, embeddings);
  return mask;
}

const withBit = (mask: number, bit: number, on: boolean) => (on ? mask | bit : mask & ~bit);

function maskFromOpenapi(body: unknown, family: Family, familyMask: number): number | undefined {
  const paths = (body as Json | undefined | null)?.paths as Json | undefined;
  if (typeof paths !== "object" || paths === null) return undefined;
  const exists = (route: keyof typeof ROUTE_PATHS) =>
    family.routePrefix + ROUTE_PATHS[route] in paths;
  // A gateway's schema that lists none of the routes describes something else: no hint.
  if (!exists("chat") && !exists("completions") && !exists("embeddings")) return undefined;
  let mask = familyMask;
  for (const route of ["chat", "completions", "embeddings"] as const) {
    mask = withBit(mask, CAPABILITY[route], exists(route));
  }
  return mask;
}

function visionOf(props: unknown): boolean | undefined {
  const modalities = (props as Json | undefined | null)?.modalities as Json | undefined;
  return typeof modalities?.vision === "boolean" ? modalities.vision : undefined;
}

/** llama.cpp answers 501 to any embeddings request unless started with --embeddings. */
async function probeEmbeddings(ask: Ask, path: string | undefined): Promise<boolean | undefined> {
  if (path === undefined) return undefined;
  try {
    const { status } = await ask("POST", path, "{}");
    if (status === 404 || status === 501) return false;
    return status === 400 || status === 422 ? true : undefined;
  } catch {
    return undefined;
  }
}
