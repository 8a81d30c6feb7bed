/**
 * The way to an endpoint of another PoP: its door, with the body as it came and what the caller
 * and we have to say in headers. That PoP decides anew among its own endpoints, and may refuse;
 * a refusal is typed, brings its load of that moment, and never reaches the client as such.
 */
import type { Dialect } from "../../grid/dialect.ts";
import { GridError } from "../../grid/errors.ts";
import type { Headers, OutRequest } from "../../grid/exchange.ts";
import {
  type Handover,
  HANDOVER_HEADER,
  PEER_ANSWER_HEADER,
  VIA_HEADER,
} from "../../grid/handover.ts";
import { DOORS } from "../../task/route.ts";
import type { Task } from "../../task/task.ts";
import { inboundHeaders } from "../header-policy.ts";
import type { Sender } from "../worker.ts";

export interface PeerWorkerOptions {
  /** For messages. */
  pop: string;
  /** Base URL of the peer's door. */
  url: string;
  /** Shared key of the PoPs; undefined = none is used. */
  key: string | undefined;
  /** What this PoP says of itself in `x-grid-via`. */
  via: string;
  /** The peer said no: why, and its load as it stands in the header. */
  onRefusal(code: string, load: string | undefined): void;
}

const CODE = /^[a-z_]{1,40}$/;

export class PeerWorker implements Sender {
  private readonly options: PeerWorkerOptions;
  private readonly origin: string;
  private readonly prefix: string;
  private readonly headers: Headers;

  /** @throws TypeError when the URL is none */
  constructor(options: PeerWorkerOptions) {
    const url = new URL(options.url);
    this.options = options;
    this.origin = url.origin;
    this.prefix = url.pathname.replace(/\/+$/, "");
    this.headers = {
      "content-type": "application/json",
      "accept-encoding": "identity",
      "user-agent": "gridpoint",
      [VIA_HEADER]: options.via,
    };
    if (options.key !== undefined) this.headers[HANDOVER_HEADER.key] = options.key;
  }

  /** A peer's door speaks what ours does: the bytes cross as they came. */
  dialect(task: Task): Dialect {
    return DOORS[task.route].dialect;
  }

  outbound(task: Task, handover: Handover | undefined): OutRequest {
    const { dialectHeaders, path, body } = task;
    const headers: Headers = { ...this.headers, ...dialectHeaders, "x-request-id": task.id };
    if (task.via !== undefined) headers[VIA_HEADER] = `${task.via}, ${headers[VIA_HEADER]}`;
    if (handover !== undefined) writeHandover(headers, handover);
    writeWishes(headers, task);
    return { origin: this.origin, method: "POST", path: this.prefix + path, headers, body };
  }

  inboundHeaders(headers: Headers): Headers {
    return inboundHeaders(headers);
  }

  refusal(_status: number, headers: Headers): GridError | undefined {
    const said = headers[PEER_ANSWER_HEADER.refusal];
    if (said === undefined) return undefined;
    const code = CODE.test(said) ? said : "unknown";
    this.options.onRefusal(code, headers[PEER_ANSWER_HEADER.load]);
    const retryAfterS = Number(headers["retry-after"]) || undefined;
    const message = `PoP ${this.options.pop} refused the request: ${code}.`;
    return new GridError("peer_refused", message, { retryAfterS });
  }
}

export function writeHandover(headers: Headers, handover: Handover): void {
  headers[HANDOVER_HEADER.hops] = String(handover.hops);
  headers[HANDOVER_HEADER.forwardedBy] = handover.forwardedBy.join(", ");
  headers[HANDOVER_HEADER.deadline] = String(Math.max(Math.floor(handover.leftMs), 1));
  headers[HANDOVER_HEADER.tenant] = handover.tenant;
  if (handover.endpoint !== undefined) headers[HANDOVER_HEADER.endpoint] = handover.endpoint;
  if (handover.expectedTtftMs !== undefined) {
    headers[HANDOVER_HEADER.expectedTtft] = handover.expectedTtftMs.toFixed(3);
  }
  if (handover.elsewhereTtftMs !== undefined) {
    headers[HANDOVER_HEADER.elsewhereTtft] = handover.elsewhereTtftMs.toFixed(3);
  }
}

/** The caller's wishes as we understood them: defaults of ours are not the next PoP's. */
function writeWishes(headers: Headers, task: Task): void {
  // A key that came in the body is in the body still, and may hold what no header can.
  if (task.session !== undefined && task.session !== task.cacheKey) {
    headers["x-grid-session"] = task.session;
  }
  if (task.regions.length > 0) headers["x-grid-region"] = task.regions.join(",");
  if (task.slice !== undefined) headers["x-grid-slice"] = task.slice;
  if (Number.isFinite(task.maxCostUsd)) headers["x-grid-max-cost"] = String(task.maxCostUsd);
  headers["x-grid-slo-ttft-ms"] = String(task.sloTtftMs);
  headers["x-grid-slo-itl-ms"] = String(task.sloItlMs);
  headers["x-grid-priority"] = task.priority;
}
