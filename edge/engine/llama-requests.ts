/**
 * Requests in the addon's parallel mode, with a cancel that does not crash. The addon's own
 * (1.7.15) takes no lock: it changes the queue and the table of requests while the decoding thread
 * may be reading them, and marks a slot as done that is cleared only after the next decoding step.
 * What we do about it:
 *
 * - cancel only when the thread leaves both alone: nothing waits to be put in a slot (only we add
 *   to that), and every request whose end we have not heard is still at work;
 * - start nothing between a cancel and the end of a one-token request sent behind it: the thread
 *   clears the done slots in the step that ends it.
 *
 * Not closed: another request that ends and is cleared in the microseconds between look and cancel.
 */
import type { CompletionOptions, CompletionResult, NativeContext } from "./llama-addon.ts";

type OnResult = (error: unknown, result: CompletionResult) => void;

/** One request. Handed back to cancel it. */
export interface LlamaRequest {
  readonly options: CompletionOptions;
  readonly onResult: OnResult;
  /** -1 = not sent yet. */
  id: number;
  isOver: boolean;
  /** Set once it is to be cancelled; from then on it has no results. */
  onFree: (() => void) | undefined;
}

const RETRY_MS = 1;
/** Looks at a request that is neither at work nor called back, before it counts as lost. */
const MOST_LOOKS = 100;
const SWEEP: CompletionOptions = { prompt: "a", n_predict: 1, temperature: 0, top_k: 1 };

export class LlamaRequests {
  private readonly context: NativeContext;
  private readonly sent = new Map<number, LlamaRequest>();
  private held: LlamaRequest[] = [];
  private leaving = new Set<LlamaRequest>();
  /** Sent behind what was cancelled last, to know that its slots are cleared. */
  private sweep: LlamaRequest | undefined;
  private timer: NodeJS.Timeout | undefined;
  private looks = 0;
  private isClosed = false;

  constructor(context: NativeContext) {
    this.context = context;
  }

  /** `onResult` gets each token and then the end, never before this returns. */
  start(options: CompletionOptions, onResult: OnResult): LlamaRequest {
    const request = { options, onResult, id: -1, isOver: false, onFree: undefined };
    const mustWait = this.isClosed || this.leaving.size > 0 || this.sweep !== undefined;
    if (mustWait) this.held.push(request);
    else this.send(request);
    return request;
  }

  /** No result is called back any more; `onFree` is, once nothing more is computed for it. */
  cancel(request: LlamaRequest, onFree: () => void): void {
    if (request.isOver) return onFree();
    request.onFree = onFree;
    if (request.id < 0) {
      this.held.splice(this.held.indexOf(request), 1);
      return this.end(request);
    }
    this.leaving.add(request);
    // Not at once: who leaves often leaves with others, and one sweep is enough for all.
    this.lookIn(0);
  }

  /** Ends the addon's thread; nothing is called back any more. */
  close(): void {
    this.isClosed = true;
    clearTimeout(this.timer);
    this.context.disableParallelMode();
  }

  private send(request: LlamaRequest): void {
    const queued = this.context.queueCompletion(request.options, (error, result) => {
      const isLast = (error !== null && error !== undefined) || result.token === undefined;
      const hasLeft = request.isOver || request.onFree !== undefined;
      if (isLast) this.end(request);
      if (!hasLeft) request.onResult(error, result);
    });
    request.id = queued.requestId;
    this.sent.set(request.id, request);
  }

  private end(request: LlamaRequest): void {
    if (request.isOver) return;
    request.isOver = true;
    this.sent.delete(request.id);
    this.leaving.delete(request);
    request.onFree?.();
    if (request === this.sweep) this.endSweep();
  }

  private lookIn(ms: number): void {
    if (this.isClosed) return;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.look();
    }, ms);
  }

  private look(): void {
    if (this.sweep === undefined && this.leaving.size === 0) return this.sendHeld();
    const { queued_requests, requests } = this.context.getParallelStatus();
    const atWork = new Set(requests.map((request) => request.request_id));
    if (queued_requests > 0) return this.lookIn(RETRY_MS);
    if (this.sweep !== undefined) {
      // In a slot that was not cleared its end might not be called back.
      if (atWork.has(this.sweep.id)) return this.lookIn(RETRY_MS);
      return this.end(this.sweep);
    }
    const isAllKnown = [...this.sent.keys()].every((id) => atWork.has(id));
    if (!isAllKnown && this.looks++ < MOST_LOOKS) return this.lookIn(RETRY_MS);
    this.looks = 0;
    this.cancelLeaving();
  }

  private cancelLeaving(): void {
    const cancelled = [...this.leaving];
    this.leaving.clear();
    for (const request of cancelled) {
      request.isOver = true;
      this.sent.delete(request.id);
      this.context.cancelRequest(request.id);
    }
    this.sweep = { options: SWEEP, onResult: () => {}, id: -1, isOver: false, onFree: undefined };
    this.send(this.sweep);
    this.lookIn(RETRY_MS);
    for (const request of cancelled) request.onFree?.();
  }

  private endSweep(): void {
    this.sweep = undefined;
    this.sendHeld();
    if (this.leaving.size > 0) this.lookIn(RETRY_MS);
  }

  private sendHeld(): void {
    if (this.isClosed) return;
    const held = this.held;
    this.held = [];
    for (const request of held) {
      try {
        this.send(request);
      } catch (error) {
        request.isOver = true;
        request.onResult(error, { requestId: -1 });
      }
    }
  }
}
