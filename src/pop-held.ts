/**
 * Asking for responses that are held elsewhere: other PoPs at their doors, as one PoP of the grid
 * to another, and the other processes of this PoP over their channel. Part of `pop.ts`.
 */
import type { PopConfig } from "./config.ts";
import { HELD_PATH, type HeldAbroad, heldText, holderOf, readHeld } from "./door/held-abroad.ts";
import { requestSmall } from "./forward/small-request.ts";
import { writeHandover } from "./forward/workers/peer-worker.ts";
import { GridError } from "./grid/errors.ts";
import type { Headers, SmallResponse, Transport } from "./grid/exchange.ts";
import { HANDOVER_HEADER, HOPS_MAX } from "./grid/handover.ts";
import type { HeldQuestion, ProcessPort } from "./grid/processes.ts";
import type { HeldResponse, ResponseStore } from "./state/response-store.ts";
import type { PopTable } from "./state/pop-table.ts";

export interface HeldHost {
  /** The sections that no reload changes. */
  config: Pick<PopConfig, "pop" | "peers">;
  limits(): PopConfig["limits"];
  transport: Transport;
  pops: PopTable;
  /** The other processes of this PoP; undefined = there are none. */
  processes: ProcessPort | undefined;
}

/** The farthest PoP answers in half a second; a client waits for this before its first token. */
const ANSWER_MS = 3_000;
const DROPPED = "dropped";
const decoder = new TextDecoder();

export class PeersHeld implements HeldAbroad {
  private readonly host: HeldHost;

  constructor(host: HeldHost) {
    this.host = host;
  }

  get pop(): string {
    return this.host.config.pop.id;
  }

  async get(tenant: string, id: string): Promise<HeldResponse | undefined> {
    if (this.isElsewhere(id)) {
      const answer = await this.ask("GET", tenant, id);
      return answer.status === 200 ? readHeld(decoder.decode(answer.body)) : undefined;
    }
    const text = await this.host.processes?.held({ tenant, id, drop: false });
    return text ? readHeld(text) : undefined;
  }

  async drop(tenant: string, id: string): Promise<boolean> {
    if (this.isElsewhere(id)) return (await this.ask("DELETE", tenant, id)).status === 200;
    return (await this.host.processes?.held({ tenant, id, drop: true })) === DROPPED;
  }

  private isElsewhere(id: string): boolean {
    const holder = holderOf(id);
    return holder !== undefined && holder !== this.pop;
  }

  private async ask(method: "GET" | "DELETE", tenant: string, id: string): Promise<SmallResponse> {
    const holder = holderOf(id) ?? "";
    const url = this.host.pops.get(holder)?.url ?? "";
    if (!URL.canParse(url)) throw unreachable(id, holder, "is not in this grid now");
    const { origin, pathname } = new URL(url);
    const path = `${pathname.replace(/\/+$/, "")}${HELD_PATH}/${encodeURIComponent(id)}`;
    const headers = this.headers(tenant);
    // Twice, because the response itself repeats what its items say.
    const bounds = { timeoutMs: ANSWER_MS, limitBytes: 2 * this.host.limits().bodyBytes };
    const request = { origin, method, path, headers, connectTimeoutMs: ANSWER_MS };
    try {
      const answer = await requestSmall(this.host.transport, request, bounds);
      if (answer.status === 200 || answer.status === 404) return answer;
    } catch {
      throw unreachable(id, holder, "does not answer");
    }
    throw unreachable(id, holder, "does not trust this PoP");
  }

  private headers(tenant: string): Headers {
    const headers: Headers = { "accept-encoding": "identity", "user-agent": "gridpoint" };
    const { peers } = this.host.config;
    if (peers.key !== undefined) headers[HANDOVER_HEADER.key] = peers.key;
    writeHandover(headers, {
      ...{ hops: HOPS_MAX, forwardedBy: [this.pop], tenant, leftMs: ANSWER_MS },
      ...{ endpoint: undefined, expectedTtftMs: undefined, elsewhereTtftMs: undefined },
    });
    return headers;
  }
}

/** What this process says to another one that asks. */
export function heldHere(store: ResponseStore, { tenant, id, drop }: HeldQuestion): string {
  if (drop) return store.drop(tenant, id) ? DROPPED : "";
  const held = store.get(tenant, id);
  return held === undefined ? "" : heldText(held);
}

function unreachable(id: string, holder: string, why: string): GridError {
  const message =
    `Previous response with id '${id.slice(0, 128)}' is held by PoP ${holder}, which ${why}: ` +
    "send the whole conversation as 'input'.";
  return new GridError("previous_response_not_found", message, { param: "previous_response_id" });
}
