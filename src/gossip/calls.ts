/** Questions to a peer over an open link, and its answers. Bounded in number, length and time. */
import type { Millis } from "../grid/units.ts";
import type { Context } from "./context.ts";
import { type Link, send } from "./link.ts";
import { answerFrame, callFrame } from "./message.ts";

interface Open {
  link: Link;
  untilMs: Millis;
}

export class Calls {
  private readonly context: Context;
  private readonly open = new Map<number, Open>();
  private next = 0;

  constructor(context: Context) {
    this.context = context;
  }

  /** The id of the `answer` event to come; undefined: too many open, or too long a body. */
  ask(link: Link, call: number, body: Uint8Array, timeoutMs: Millis): number | undefined {
    const { maxCalls, callBytes, softBufferBytes } = this.context.limits;
    if (this.open.size >= maxCalls || body.length > callBytes) return undefined;
    if (link.buffered > softBufferBytes) return undefined;
    const id = ++this.next;
    this.open.set(id, { link, untilMs: this.context.nowMs + timeoutMs });
    send(this.context, link, callFrame(id, call, body));
    return id;
  }

  /** Undefined body: refused. */
  answer(link: Link, id: number, body: Uint8Array | undefined): void {
    const fits = body !== undefined && body.length <= this.context.limits.callBytes;
    send(this.context, link, answerFrame(id, fits, fits ? body : new Uint8Array()));
  }

  takeAnswer(link: Link, id: number, done: boolean, body: Uint8Array): void {
    if (this.open.get(id)?.link !== link) return;
    this.open.delete(id);
    this.context.event({ type: "answer", id, body: done ? body : undefined });
  }

  closed(link: Link): void {
    this.fail((open) => open.link === link);
  }

  tick(): void {
    this.fail((open) => open.untilMs <= this.context.nowMs);
  }

  private fail(matches: (open: Open) => boolean): void {
    for (const [id, open] of this.open) {
      if (!matches(open)) continue;
      this.open.delete(id);
      this.context.event({ type: "answer", id, body: undefined });
    }
  }
}
