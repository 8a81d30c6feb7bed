/**
 * Several real PoPs in one test process, with one in-memory fleet between them and engines behind
 * some of them: what the suites of hand-over and drain share.
 */
import { type ClientRequest, request } from "node:http";
import type { ServedPop } from "../../edge/assemble.ts";
import { serveNode } from "../../edge/node.ts";
import { parseConfig } from "../../src/config.ts";
import type { MemoryFleet, MemoryGrid } from "../fleet.ts";
import { eventually } from "./pop-process.ts";
import { RogueEngine, type Script, tokenText } from "./rogue-engine.ts";

export const WHOLE = Array.from({ length: 5 }, (_, n) => tokenText(n)).join("");
const POLL = { intervalMs: 100, failuresToDown: 2, successesToUp: 1, reprobeMs: 500 };
export const clock = (): number => performance.now();

const closers: (() => Promise<unknown>)[] = [];
/** Ends what a test started, the last first. */
export async function closeAll(): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close();
}

/** To be ended with the rest. */
export function closing(close: () => Promise<unknown>): void {
  closers.push(close);
}

export async function engine(script: Script = () => ({ kind: "good" }), models = ["m"]) {
  const rogue = await RogueEngine.start(models, script);
  closers.push(() => rogue.stop());
  return rogue;
}

export interface Site {
  pop: ServedPop;
  fleet: MemoryFleet;
}

export async function site(
  grid: MemoryGrid,
  id: string,
  engines: readonly { base: string; models: string[] }[] = [],
  more: Record<string, unknown> = {},
  endpoint: Record<string, unknown> = {},
): Promise<Site> {
  const parsed = parseConfig({
    pop: { id, tier: "edge", region: "here" },
    listen: { port: 0 },
    poll: POLL,
    endpoints: engines.map(({ base, models }, n) => {
      return { id: `${id}-${n}`, url: base, engine: "vllm", models, ...endpoint };
    }),
    ...more,
  });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const fleet = grid.fleet(id);
  const pop = await serveNode(parsed.config, { log: () => {}, fleet });
  closers.push(() => pop.close());
  return { pop, fleet };
}

export interface Peer {
  id: string;
  routable: boolean;
  refusals: number;
  draining: boolean;
  inFlight: number;
  endpoints: { id: string; phase: string; load: { ageMs: number | null } }[];
}
export interface State {
  draining: boolean;
  running: number;
  endpoints: { phase: string; inFlight: number; admission: string }[];
  pops: Peer[];
}
export const stateOf = (pop: ServedPop): State => pop.pop.state() as State;

/** Waits until the PoP knows so many usable endpoints elsewhere, with their load. */
export async function knows({ pop }: Site, endpoints: number): Promise<void> {
  await eventually(`${endpoints} endpoints of others`, () => {
    const all = stateOf(pop).pops.flatMap((peer) => peer.endpoints);
    const told = all.filter(({ phase, load }) => phase === "ready" && load.ageMs !== null);
    return told.length === endpoints;
  });
}

export async function ownReady({ pop }: Site): Promise<void> {
  await eventually("own endpoints ready", () =>
    stateOf(pop).endpoints.every(({ phase }) => phase === "ready"),
  );
}

export interface Answer {
  status: number;
  route: string;
  text: string;
  headers: Headers;
}

export async function ask(
  { pop }: Site,
  headers: Record<string, string> = {},
  body: Record<string, unknown> = {},
): Promise<Answer> {
  const response = await fetch(`${pop.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({
      model: "m",
      stream: true,
      messages: [{ role: "user", content: "hello" }],
      ...body,
    }),
  });
  const text = await response.text();
  const route = response.headers.get("x-grid-route") ?? "";
  return { status: response.status, route, text, headers: response.headers };
}

/** The text of a whole stream, else the answer as it came. */
export function said({ status, text }: Answer): string {
  if (status !== 200 || !text.includes("data: [DONE]") || text.includes(`"error"`)) {
    return `${status} ${text}`;
  }
  return [...text.matchAll(/"content":"([^"]*)"/g)].map((match) => match[1]).join("");
}

export function leaver({ pop }: Site, content: string): ClientRequest {
  const outgoing = request(`${pop.url}/v1/chat/completions`, {
    method: "POST",
    agent: false,
    headers: { "content-type": "application/json" },
  });
  outgoing.on("error", () => {});
  outgoing.on("response", (response) => response.on("error", () => {}).resume());
  const messages = [{ role: "user", content }];
  outgoing.end(JSON.stringify({ model: "m", stream: true, messages }));
  return outgoing;
}

/** A card and a load for a PoP that has no fleet of its own. */
export function speakFor(fleet: MemoryFleet, id: string, url: string): void {
  fleet.heardCard({
    ...{ id, url, tier: "edge", region: "here", zone: "here", chunkBytes: 512 },
    ...{ draining: false, revision: 7 },
    endpoints: [
      {
        ...{ id: `${id}-0`, tier: "edge", region: "here", models: ["m"], capabilities: 0x7f },
        ...{ contextTokens: undefined, tenants: [], admission: "new-and-existing" },
        ...{ priceIn: 0, priceCached: 0, priceOut: 0, maxInFlight: 64, replicas: 1 },
      },
    ],
  });
  const one = { up: true, queuedTokens: 0, inFlight: 0, kvUsage: 0, prefillRate: 8, itlMs: 20 };
  const queueClasses = new Array<number>(20).fill(0);
  fleet.heard(id, { load: { seq: 1, atMs: clock(), revision: 7, endpoints: [one], queueClasses } });
}
