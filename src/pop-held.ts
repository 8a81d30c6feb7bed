/**
 * Asking other PoPs for the responses that they hold, at their doors, as one PoP of the grid to
 * another. Part of `pop.ts`.
 */
import type { PopConfig } from "./config.ts";
import { HELD_PATH, type HeldAbroad, holderOf, readHeld } from "./door/held-abroad.ts";
import { requestSmall } from "./forward/small-request.ts";
import { writeHandover } from "./forward/workers/peer-worker.ts";
import { GridError } from "./grid/errors.ts";
import type { Headers, SmallResponse, Transport } from "./grid/exchange.ts";
import { HANDOVER_HEADER, HOPS_MAX } from "./grid/handover.ts";
import type { HeldResponse } from "./state/response-store.ts";
import type { PopTable } from "./state/pop-table.ts";

export interface HeldHost {
  /** The sections that no reload changes. */
  config: Pick<PopConfig, "pop" | "peers">;
  limits(): PopConfig["limits"];
  transport: Transport;
  pops: PopTable;
}

/** The farthest PoP answers in half a second; a client waits for this before its first token. */
const ANSWER_MS = 3_000;
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
    const answer = await this.ask("GET", tenant, id);
    if (answer?.status !== 200) return undefined;
    return readHeld(decoder.decode(answer.body));
  }

  async drop(tenant: string, id: string): Promise<boolean> {
    return (await this.ask("DELETE", tenant, id))?.status === 200;
  }

  /** Undefined: the id names no other PoP. */
  private async ask(
    method: "GET" | "DELETE",
    tenant: string,
    id: string,
  ): Promise<SmallResponse | undefined> {
    const holder = holderOf(id);
    if (holder === undefined || holder === this.pop) return undefined;
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

function unreachable(id: string, holder: string, why: string): GridError {
  const message =
    `Previous response with id '${id.slice(0, 128)}' is held by PoP ${holder}, which ${why}: ` +
    "send the whole conversation as 'input'.";
  return new GridError("previous_response_not_found", message, { param: "previous_response_id" });
}
