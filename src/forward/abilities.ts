/**
 * What an endpoint can do, as a mask of CAPABILITY bits: the word of the operator, else of the
 * family, and what follows from the dialects that it speaks.
 */
import type { Dialect } from "../grid/dialect.ts";
import { CAPABILITY, type Capability, type EndpointSpec } from "../grid/endpoint.ts";
import { FAMILIES } from "./families.ts";

export function capabilityMask(capabilities: readonly Capability[]): number {
  let mask = 0;
  for (const capability of capabilities) mask |= CAPABILITY[capability];
  return mask;
}

/** What counts until (and unless) a probe knows better: the operator's word, else the family's. */
export function defaultCapabilities(spec: DeclaredAbilities): number {
  const mask = capabilityMask(spec.capabilities ?? FAMILIES[spec.engine].capabilities);
  return inDialects(mask, spec.dialects);
}

type DeclaredAbilities = Pick<EndpointSpec, "engine" | "capabilities" | "dialects">;

/** What OpenAI's dialect alone can ask for. */
const CHAT_ONLY = capabilityMask(["completions", "embeddings", "logprobs", "choices"]);

/** What Gemini's has too. */
const GEMINI = capabilityMask(["choices", "countGemini"]);

/** Abilities that follow from what an endpoint speaks, whatever the engine behind it can do. */
export function inDialects(mask: number, dialects: readonly Dialect[]): number {
  let able = dialects.includes("chat") ? mask | CAPABILITY.choices : mask & ~CHAT_ONLY;
  if (dialects.includes("messages")) able |= CAPABILITY.count;
  if (dialects.includes("gemini")) able |= GEMINI | (mask & CAPABILITY.embeddings);
  return able;
}
