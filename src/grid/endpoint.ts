/** The noun `endpoint`: one engine replica that can serve, as the operator declares it. */
import type { Dialect } from "./dialect.ts";
import type { Millis, Tokens, UsdPerMTok } from "./units.ts";

export const TIERS = ["edge", "regional", "core"] as const;
export type Tier = (typeof TIERS)[number];

export const ENGINE_FAMILIES = [
  "vllm",
  "sglang",
  "tensorrt-llm",
  "llama.cpp",
  "nim",
  "triton",
  "ollama",
  "dynamo",
  "openai-compatible",
  // Vendors' APIs, and whoever speaks just as they do.
  "openai",
  "anthropic",
  "gemini",
] as const;
export type EngineFamily = (typeof ENGINE_FAMILIES)[number];

/** Vendors' clouds: nothing of them is ours to see but their answers. */
const CLOUD: readonly EngineFamily[] = ["openai", "anthropic", "gemini"];

/** Of the families that do not speak Chat alone. */
const OWN_DIALECTS: Readonly<Partial<Record<EngineFamily, Dialect[]>>> = {
  anthropic: ["messages"],
  gemini: ["gemini"],
  openai: ["chat", "responses"],
};

export interface FamilyDefaults {
  dialects: Dialect[];
  tier: Tier;
  /** Undefined: where the PoP is. */
  region: string | undefined;
  prefillBudgetTokens: Tokens;
  rttMs: Millis;
}

/** What holds for an endpoint of a family unless the operator says otherwise. */
export function familyDefaults(engine: EngineFamily): FamilyDefaults {
  const dialects = OWN_DIALECTS[engine] ?? ["chat"];
  if (CLOUD.includes(engine)) {
    // It runs in no region that we know, so x-grid-region excludes it until the operator names
    // one; what waits there waits in nobody's way.
    const far = { tier: "core", region: "cloud", rttMs: 40 } as const;
    return { dialects, ...far, prefillBudgetTokens: 1_000_000 };
  }
  return { dialects, tier: "edge", region: undefined, prefillBudgetTokens: 1_024, rttMs: 0.5 };
}

/** `new-and-existing` serves all; `existing-only` keeps pinned sessions; `none` takes nothing. */
export const ADMISSION_STATES = ["new-and-existing", "existing-only", "none"] as const;
export type AdmissionState = (typeof ADMISSION_STATES)[number];

/** What an endpoint can do and a task may need, as bits of one mask; 0..15 are theirs. */
export const CAPABILITY = {
  chat: 1,
  completions: 2,
  embeddings: 4,
  tools: 8,
  vision: 16,
  jsonSchema: 32,
  logprobs: 64,
  /** Several choices of one prompt (`n`). */
  choices: 128,
  /** Counts the tokens of a prompt without generating, asked as Anthropic's clients ask. */
  count: 256,
  /** The same, asked as Google's clients ask. */
  countGemini: 512,
} as const;
export type Capability = keyof typeof CAPABILITY;

/**
 * Where a row's endpoint stands, in the same mask: a request that was handed over needs an own
 * one, a client's request at a PoP that drains needs one of another PoP. Never on the wire.
 */
export const PLACE = { own: 1 << 30, other: 1 << 29 } as const;
/** The bits that a PoP may claim for its endpoints. */
export const CAPABILITIES = 0xffff;

export type Phase = "unknown" | "loading" | "ready" | "sleeping" | "draining" | "down";

/** Where an engine publishes what its KV cache holds (vLLM's format, over ZMTP). */
export interface KvEventsSpec {
  /** `tcp://host:port` of its PUB socket. */
  url: string;
  /** Of its ROUTER socket for replays; undefined = none. */
  replay?: string | undefined;
  /** Events whose topic starts so; empty = all. */
  topic: string;
  /** Data-parallel ranks, on ports that follow one another. */
  ranks: number;
}

/** An endpoint as configured. Everything that is learned stands in the endpoint table instead. */
export interface EndpointSpec {
  /** Unique in the PoP; `[A-Za-z0-9._-]{1,64}`; shown in headers and metrics. */
  id: string;
  /** Base URL without `/v1`, e.g. `http://127.0.0.1:8000`. */
  url: string;
  engine: EngineFamily;
  /** What it speaks, the preferred one first. */
  dialects: Dialect[];
  tier: Tier;
  /** Region or jurisdiction code where it runs, e.g. `eu-de`; matched against `x-grid-region`. */
  region: string;
  /** Model ids; empty = whatever the endpoint's `/v1/models` says. */
  models: string[];
  /** Capabilities; undefined = family default, refined by probing. */
  capabilities?: Capability[];
  /** Tenants that may use it; empty = all. */
  tenants: string[];
  admission: AdmissionState;
  priceIn: UsdPerMTok;
  priceCached: UsdPerMTok;
  priceOut: UsdPerMTok;
  /** Most requests we keep running there at once. */
  maxInFlight: number;
  /** Outstanding uncached prefill tokens at which the PoP's queue holds work back. */
  prefillBudgetTokens: Tokens;
  contextTokens?: Tokens;
  /** KV cache size, for mirroring its eviction; learned from the engine when it says so. */
  kvTokens?: Tokens;
  kvEvents?: KvEventsSpec | undefined;
  /** Starting values until learned. */
  prefillTokensPerS: number;
  itlMs: Millis;
  rttMs: Millis;
  /** Bearer token for the endpoint, already read from the environment. */
  apiKey?: string;
  /** Extra request headers. */
  headers: Record<string, string>;
}

/** An endpoint said itself that it takes nothing more for a while. */
export interface Rest {
  /** By a rate limit, which is the caller's to wait out. */
  limited: boolean;
  leftMs: Millis;
}
