/**
 * One turn of the event loop, in steps: what came in while sockets were read is worked on when all
 * of them have been, and what that work writes goes out behind it, all at once. So each stage of
 * the way of a request runs for all requests of a turn, with its code still in the processor's
 * caches; and a write that wakes the process at the other end, which costs more than the write
 * itself, wakes it for all. A PoP that carries one request at a time loses nothing: its turn ends
 * when that request has been read. Measured: 0.63 of the CPU of a plain request at 16 connections.
 */

/** What waits for a step. It must not throw. */
export interface Waiting {
  /** Goes on with what came in. */
  proceed(): void;
}

/** A stream that holds back what was written to it. */
export interface Corked {
  uncork(): void;
}

let arrived: Waiting[] = [];
let written: Corked[] = [];
let sending = false;

function work(): void {
  const these = arrived;
  arrived = [];
  for (const one of these) one.proceed();
}

function send(): void {
  sending = false;
  const these = written;
  written = [];
  for (const one of these) one.uncork();
}

/** What the work writes, also in its microtasks, is sent in the same phase of the event loop. */
function armSend(): void {
  if (sending) return;
  sending = true;
  setImmediate(send);
}

/** Calls `proceed` when every socket of this turn has been read. */
export function atTurnsEnd(one: Waiting): void {
  if (arrived.push(one) > 1) return;
  setImmediate(work);
  armSend();
}

/** Calls `uncork` when the work of this turn is done. */
export function sendWithTurn(one: Corked): void {
  written.push(one);
  armSend();
}

/** Resolves when nothing waits any more: what was answered has been written. */
export async function turnsDone(): Promise<void> {
  while (arrived.length + written.length > 0) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}
