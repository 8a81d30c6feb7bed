/** The knobs of one endpoint, and what its engine family makes of those that are left out. */
import * as v from "valibot";
import { KvEvents } from "./config-kv.ts";
import { DIALECTS } from "./grid/dialect.ts";
import {
  ADMISSION_STATES,
  CAPABILITY,
  type Capability,
  ENGINE_FAMILIES,
  type EndpointSpec,
  familyDefaults,
  TIERS,
} from "./grid/endpoint.ts";
import * as knob from "./knob.ts";

export const NAME = "1 to 64 letters, digits, dots, dashes or underscores";
export const isName = (x: string) => /^[A-Za-z0-9._-]{1,64}$/.test(x);
export const MODEL = "a model id of 1 to 256 characters without control characters";
export const isModel = (x: string) => /^[^\p{Cc}]{1,256}$/u.test(x);
/** As in x-grid-region, whose values are compared in lower case. */
export const region = v.pipe(
  knob.text("a region of 1 to 32 letters, digits or dashes", (x) => /^[a-z0-9-]{1,32}$/i.test(x)),
  v.transform((x) => x.toLowerCase()),
);
/** Set by the transport for each request, or meant for one connection only: not for a config. */
const OWN_HEADERS = [
  "connection",
  "content-length",
  "content-type",
  "expect",
  "host",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];
const HEADER = `a header name, not one that the proxy sets itself (${OWN_HEADERS.join(", ")})`;
const isHeader = (x: string) =>
  /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/.test(x) && !OWN_HEADERS.includes(x.toLowerCase());
const isHeaderValue = (x: string) => /^[\t\x20-\x7e]{0,8192}$/.test(x);

const URL_FORM = "an http:// or https:// base URL without query or password (a /v1 is cut)";
/** Base URL as people paste it, without the /v1; undefined when it is something else. */
function baseOf(text: string): string | undefined {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  const bare = url.search === "" && url.hash === "" && url.username === "" && url.password === "";
  // Many vendors have their API below a path: https://api.example.com/openai/v1.
  const path = url.pathname.replace(/(\/v1)?\/*$/, "");
  // What goes on behind the version is a route and no base: /v1/chat/completions.
  return bare && !/\/v1(\/|$)/.test(path) ? url.origin + path : undefined;
}

export const ORIGIN_FORM = "an http:// or https:// base URL without path, query or password";
/** `http://host:port` of a base URL; undefined when there is more to it. */
export function originOf(text: string): string | undefined {
  const base = baseOf(text);
  return base !== undefined && new URL(base).pathname === "/" ? base : undefined;
}

export const Endpoint = knob.section({
  // Stands in metrics, headers and the log, so it must be safe in all three.
  id: knob.text(NAME, isName),
  url: v.pipe(
    knob.text(URL_FORM, (x) => baseOf(x) !== undefined),
    v.transform((x) => baseOf(x) as string),
  ),
  // Says where its load and health stand; what it can do is probed all the same.
  engine: knob.choice(ENGINE_FAMILIES, "openai-compatible"),
  // What it speaks, preferred first; left out: chat. A caller's own dialect passes untouched.
  dialects: knob.choices(DIALECTS),
  // Left out: edge; core for a vendor's cloud.
  tier: knob.choiceOrNone(TIERS),
  // Matched against x-grid-region. Default: the PoP's own region; "cloud" for a vendor's.
  region: v.optional(region),
  // Empty: whatever its /v1/models says.
  models: knob.listOrNone(knob.text(MODEL, isModel)),
  // Left out: the family's, corrected by probing.
  capabilities: knob.choices(Object.keys(CAPABILITY) as Capability[]),
  // Empty: every tenant.
  tenants: knob.listOrNone(knob.text(`a tenant, ${NAME}`, isName)),
  // `existing-only` before maintenance: pinned sessions end there, new ones go elsewhere.
  admission: knob.choice(ADMISSION_STATES, "new-and-existing"),
  // 0 = free, right for own hardware whose power is paid anyway. USD per million tokens.
  priceIn: knob.amount("USD per million tokens", 0, 1_000_000, 0),
  priceCached: knob.amount("USD per million tokens", 0, 1_000_000, 0),
  priceOut: knob.amount("USD per million tokens", 0, 1_000_000, 0),
  // Most engines batch up to 256 sequences by default; above it they queue where we cannot see.
  maxInFlight: knob.count("requests", 1, 100_000, 256),
  // Work in prefill there at which it gets no more. Higher: what follows sits in the engine's
  // queue, where it cannot be moved. Lower: gaps of a round trip between two prefills. A learned
  // rate above 8,000 tokens per second raises it. Left out: 1,024; a million for a vendor's cloud.
  prefillBudgetTokens: knob.unset("tokens", 1, 100_000_000),
  // Left out: learned from the engine where it says so.
  contextTokens: knob.unset("tokens", 1, 1_000_000_000),
  kvTokens: knob.unset("tokens", 1, 1_000_000_000),
  // Left out: what its cache holds is estimated, by what was sent and its size.
  kvEvents: KvEvents,
  // Starting values of what is learned from the first answers on: a mid-size GPU, an 8B model.
  prefillTokensPerS: knob.amount("tokens per second", 1, 100_000_000, 8_000),
  itlMs: knob.amount("ms per token", 0.01, 10_000, 20),
  // Left out: 0.5; 40 for a vendor's cloud.
  rttMs: knob.amountOrNone("ms", 0, 10_000),
  // From the environment: apiKey: ${ENGINE_KEY}
  apiKey: v.optional(
    knob.secret("text of 1 to 4096 printable characters", (x) => /^[\x21-\x7e]{1,4096}$/.test(x)),
  ),
  headers: knob.textMap(HEADER, isHeader, "a header value of one line of ASCII", isHeaderValue),
});

/** @param homeRegion of the PoP */
export function completeEndpoint(
  endpoint: v.InferOutput<typeof Endpoint>,
  homeRegion: string,
): EndpointSpec {
  const defaults = familyDefaults(endpoint.engine);
  return {
    ...endpoint,
    dialects: endpoint.dialects?.length ? endpoint.dialects : defaults.dialects,
    tier: endpoint.tier ?? defaults.tier,
    region: endpoint.region ?? defaults.region ?? homeRegion,
    prefillBudgetTokens: endpoint.prefillBudgetTokens ?? defaults.prefillBudgetTokens,
    rttMs: endpoint.rttMs ?? defaults.rttMs,
    headers: lowerCaseNames(endpoint.headers),
  };
}

function lowerCaseNames(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([k, text]) => [k.toLowerCase(), text]));
}
