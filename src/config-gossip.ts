/**
 * The section `gossip` of a config: which grid this PoP is of, how it proves that, where it finds
 * the others, and the periods of its talk with them. Without the section a PoP stands alone.
 */
import * as v from "valibot";
import { GOSSIP_LIMITS, type GossipLimits } from "./gossip/limits.ts";
import * as knob from "./knob.ts";

export interface GossipConfig {
  grid: string;
  path: string;
  seeds: string[];
  /** Origin as others name it, to the origin under which this PoP reaches it. */
  via: Record<string, string>;
  certificate?: string | undefined;
  key?: string | undefined;
  roots?: string | undefined;
  sharedKey?: string | undefined;
  epochFile?: string | undefined;
  zone: string;
  fullMeshMax: number;
  hotMinMs: number;
  hotMaxMs: number;
  pingIdleMs: number;
  silenceMs: number;
  suspectMs: number;
  flushMs: number;
  prefixMs: number;
  sumMs: number;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const NAME = "1 to 64 letters, digits, dots, dashes or underscores";
const isName = (x: string) => /^[A-Za-z0-9._-]{1,64}$/.test(x);
const isFile = (x: string) => /^[^\p{Cc}]{1,1024}$/u.test(x);
const file = (what: string) => v.optional(knob.text(`the name of a file: ${what}`, isFile));

const SEED = "a PoP's base URL like http://10.0.0.1:8801 (https:, ws: and wss: too)";
const isSeed = (x: string) => linkAddress(x, "/") !== undefined;
const ORIGIN = "an http:// or https:// origin without path";
const isOrigin = (x: string) => /^https?:\/\//i.test(x) && URL.canParse(x) && isBare(new URL(x));
const isBare = (url: URL) => url.pathname === "/" && url.search === "" && url.username === "";

/**
 * The WebSocket address of a PoP's gossip from its base URL; an address that names a path keeps it.
 * Undefined when the text is no such URL.
 */
export function linkAddress(text: string, path: string): string | undefined {
  if (!/^(http|ws)s?:\/\//i.test(text) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (url.username !== "" || url.search !== "" || url.hash !== "") return undefined;
  const scheme = url.protocol === "https:" || url.protocol === "wss:" ? "wss:" : "ws:";
  return `${scheme}//${url.host}${url.pathname === "/" ? path : url.pathname}`;
}

const { fullMeshMax, hotMinMs, hotMaxMs, pingIdleMs, silenceMs } = GOSSIP_LIMITS;
const { suspectMs, flushMs, prefixMs, sumMs } = GOSSIP_LIMITS;

const Section = knob.section({
  // All PoPs of a grid name the same one; a link between two grids is refused.
  grid: knob.text(`the grid's name, ${NAME}`, isName),
  // On the PoP's own port, so that a PoP needs one hole in a firewall.
  path: knob.textOr("a path like /grid/link", (x) => /^\/[\w./-]{1,127}$/.test(x), "/grid/link"),
  // Any PoP or two of the grid are enough: the rest is learned from them.
  seeds: knob.listOrNone(knob.text(SEED, isSeed)),
  // A private line, a tunnel, a delay under test: reach the PoP at KEY at the origin VALUE.
  via: knob.textMap(ORIGIN, isOrigin, ORIGIN, isOrigin),
  // From `gridpoint ca issue`.
  certificate: file("the certificate of this PoP"),
  key: file("its private key"),
  roots: file("public keys of the grid's roots"),
  // Instead of the three: total trust among all who hold it. sharedKey: ${GRID_KEY}
  sharedKey: v.optional(
    knob.secret("text of 16 to 256 printable characters", (x) => /^[\x21-\x7e]{16,256}$/.test(x)),
  ),
  // Remembers that this PoP restarted, so that its old reports never win. Default: KEY.epoch
  epochFile: file("where this PoP keeps its epoch"),
  // With a shared key only; a certificate names its zone itself.
  zone: knob.textOr(`a zone, ${NAME}`, isName, "default"),
  // Everybody links to everybody up to here: 63 sockets and 43 KB/s. Above: eight neighbours.
  fullMeshMax: knob.count("PoPs", 2, 256, fullMeshMax),
  // Own load is told after a change, not sooner than this (once, half of it: to fall in with the
  // beat that PoPs of one value share). Longer: others decide on older facts.
  hotMinMs: knob.count("ms", 50, 10 * SECOND, hotMinMs),
  // And at least so often; three of them are how long a silent PoP is still believed.
  hotMaxMs: knob.count("ms", 100, MINUTE, hotMaxMs),
  // A link without traffic carries a ping; silence for silenceMs makes a PoP unroutable here.
  pingIdleMs: knob.count("ms", 50, 30 * SECOND, pingIdleMs),
  silenceMs: knob.count("ms", 150, 2 * MINUTE, silenceMs),
  // Time to refute before all give a PoP up; shorter: a slow restart loses its sessions.
  suspectMs: knob.count("ms", 500, 10 * MINUTE, suspectMs),
  // What is passed on waits so long for company. Longer: fewer frames, older facts.
  flushMs: knob.count("ms", 1, SECOND, flushMs),
  // Period of the changes of prefix digests.
  prefixMs: knob.count("ms", 100, MINUTE, prefixMs),
  // Comparison with one neighbour, for what was lost in spite of all.
  sumMs: knob.count("ms", SECOND, 10 * MINUTE, sumMs),
});

type Given = v.InferOutput<typeof Section>;

/** Problems between keys; on a section that may be wrong in other places. */
function* between(given: Given): Generator<[key: keyof Given, message: string]> {
  const files = ["certificate", "key", "roots"] as const;
  if (given.sharedKey !== undefined) {
    const both = "stands beside sharedKey; one way of proof, not both";
    for (const key of files) if (given[key] !== undefined) yield [key, both];
  } else {
    const hint = 'is missing: "gridpoint ca issue" writes it (or set sharedKey for all PoPs)';
    for (const key of files) if (given[key] === undefined) yield [key, hint];
  }
  if (given.hotMinMs > given.hotMaxMs) {
    yield ["hotMinMs", `is ${given.hotMinMs}, above hotMaxMs (${given.hotMaxMs})`];
  }
  if (given.silenceMs < 2 * given.pingIdleMs) {
    const least = 2 * given.pingIdleMs;
    yield ["silenceMs", `is ${given.silenceMs}; one lost ping must be no death: at least ${least}`];
  }
}

export const Gossip = v.pipe(
  v.nullish(
    v.pipe(
      Section,
      v.rawCheck(({ dataset, addIssue }) => {
        const input = dataset.value as Given;
        if (typeof input !== "object" || input === null) return;
        for (const [key, message] of between(input)) {
          const path = [{ type: "object", origin: "value", input, key, value: input[key] }];
          addIssue({ message, path: path as never });
        }
      }),
    ),
  ),
  v.transform((given): GossipConfig | undefined => given ?? undefined),
);

/** Limits of the gossip core under that config. */
export function gossipLimits(config: GossipConfig): GossipLimits {
  const { fullMeshMax, hotMinMs, hotMaxMs, pingIdleMs, silenceMs } = config;
  const { suspectMs, flushMs, prefixMs, sumMs } = config;
  return {
    ...GOSSIP_LIMITS,
    ...{ fullMeshMax, hotMinMs, hotMaxMs, pingIdleMs, silenceMs },
    ...{ suspectMs, flushMs, prefixMs, sumMs },
  };
}
