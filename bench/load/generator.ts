/**
 * Streamed load. Closed loop: a fixed number of streams, each followed by the next; for cost per
 * chunk. Open loop: streams start at a rate whatever the target does; for time to first token.
 * Cancel: one stream at a time is left in mid-answer. All are bounded in time and in samples.
 */
import { monotonicMs } from "./clock.ts";
import { chatRequest, Connection, openConnections, type Timing } from "./http-client.ts";

const MOST_SAMPLES = 200_000;
/** A stream that hangs must not hang the bench. */
const GRACE_MS = 5_000;
/** More open streams than this mean that the target fell behind for good. */
const MOST_OPEN = 2_000;

export interface Site {
  base: string;
  headers: Record<string, string>;
}

export interface StreamShape {
  chunks: number;
  gapMs: number;
}

export interface StreamRun {
  streams: number;
  /** Events that arrived, of finished and unfinished streams. */
  chunks: number;
  errors: number;
  seconds: number;
  ttftMs: number[];
  gapMs: number[];
}

const wishOf = (id: number, shape: StreamShape): string =>
  `id=${id}:chunks=${shape.chunks}:gap=${shape.gapMs}`;

/** Counts what comes in; stops taking samples at the cap, never stops counting. */
class Tally {
  readonly run: StreamRun = {
    streams: 0,
    chunks: 0,
    errors: 0,
    seconds: 0,
    ttftMs: [],
    gapMs: [],
  };

  events(atMs: number, count: number, lastMs: number): void {
    this.run.chunks += count;
    if (lastMs > 0 && this.run.gapMs.length < MOST_SAMPLES) this.run.gapMs.push(atMs - lastMs);
  }

  end(timing: Timing, failure: string | undefined): void {
    if (failure !== undefined || timing.status !== 200 || !timing.done) {
      this.run.errors++;
      return;
    }
    this.run.streams++;
    if (this.run.ttftMs.length < MOST_SAMPLES) {
      this.run.ttftMs.push(timing.firstMs - timing.startMs);
    }
  }
}

function start(
  connection: Connection,
  request: Buffer,
  tally: Tally,
  onEnd: (connection: Connection) => void,
): void {
  let lastMs = 0;
  connection.send(request, {
    onEvents(atMs, count) {
      tally.events(atMs, count, lastMs);
      lastMs = atMs;
    },
    onEnd(timing, failure) {
      tally.end(timing, failure);
      onEnd(connection);
    },
  });
}

/** `streams` at once for `durationS`; streams still open at the end are cut. */
export async function closedLoop(
  site: Site,
  streams: number,
  durationS: number,
  shape: StreamShape,
): Promise<StreamRun> {
  const { hostname, port } = new URL(site.base);
  const request = chatRequest(site.base, true, wishOf(0, shape), site.headers);
  const open = new Set(await openConnections(site.base, streams));
  const tally = new Tally();
  const startMs = monotonicMs();
  let over = false;
  const again = (connection: Connection): void => {
    if (over) return;
    let next = connection;
    if (connection.closed) {
      open.delete(connection);
      // A target that hangs up on us is asked again from a fresh connection, not in a hot loop.
      if (tally.run.errors > 1_000) return;
      next = new Connection(hostname, Number(port));
      open.add(next);
    }
    start(next, request, tally, again);
  };
  for (const connection of [...open]) again(connection);
  await new Promise((resolve) => setTimeout(resolve, durationS * 1_000));
  over = true;
  tally.run.seconds = (monotonicMs() - startMs) / 1_000;
  for (const connection of open) connection.destroy();
  return tally.run;
}

/** `rate` streams per second for `durationS`, then waits for what is still open. */
export async function openLoop(
  site: Site,
  rate: number,
  durationS: number,
  shape: StreamShape,
): Promise<StreamRun> {
  const { hostname, port } = new URL(site.base);
  const request = chatRequest(site.base, true, wishOf(0, shape), site.headers);
  const expectOpen = Math.ceil((rate * (shape.chunks * shape.gapMs + 20)) / 1_000);
  const idle = await openConnections(site.base, Math.min(expectOpen, 512));
  const open = new Set<Connection>();
  const tally = new Tally();
  const startMs = monotonicMs();
  const total = Math.ceil(rate * durationS);
  let sent = 0;
  const back = (connection: Connection): void => {
    open.delete(connection);
    if (!connection.closed) idle.push(connection);
  };
  const launch = (): void => {
    sent++;
    if (open.size >= MOST_OPEN) {
      tally.run.errors++;
      return;
    }
    let connection = idle.pop();
    while (connection?.closed === true) connection = idle.pop();
    connection ??= new Connection(hostname, Number(port));
    open.add(connection);
    start(connection, request, tally, back);
  };
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(total, Math.floor(((monotonicMs() - startMs) * rate) / 1_000));
      while (sent < due) launch();
      const late = monotonicMs() - startMs > durationS * 1_000 + GRACE_MS;
      if ((sent >= total && open.size === 0) || late) {
        clearInterval(timer);
        resolve();
      }
    }, 1);
  });
  tally.run.seconds = durationS;
  tally.run.errors += open.size;
  for (const connection of [...open, ...idle]) connection.destroy();
  return tally.run;
}

export interface CancelRun {
  asked: number;
  /** One sample per cancel that the upstream saw. */
  cancelMs: number[];
}

async function leaveOne(site: Site, id: number, shape: StreamShape): Promise<number> {
  const [connection] = await openConnections(site.base, 1);
  return new Promise((resolve) => {
    const leave = (): void => {
      clearTimeout(timer);
      const atMs = monotonicMs();
      connection?.destroy();
      resolve(atMs);
    };
    const timer = setTimeout(leave, 1_000);
    connection?.send(chatRequest(site.base, true, wishOf(id, shape), site.headers), {
      // Leaves between two tokens, not in the same turn as the first.
      onFirst: () => setTimeout(leave, shape.gapMs / 2),
      onEnd: leave,
    });
  });
}

/** Opens and leaves `count` streams one after the other; the upstream says when it noticed. */
export async function cancelLoop(site: Site, upstream: string, count: number): Promise<CancelRun> {
  const shape = { chunks: 50, gapMs: 10 };
  await readCloses(upstream);
  const left = new Map<string, number>();
  for (let id = 1; id <= count; id++) left.set(String(id), await leaveOne(site, id, shape));
  await new Promise((resolve) => setTimeout(resolve, 100));
  const cancelMs: number[] = [];
  for (const { id, atMs } of await readCloses(upstream)) {
    const leftMs = left.get(id);
    if (leftMs !== undefined) cancelMs.push(atMs - leftMs);
  }
  return { asked: count, cancelMs };
}

async function readCloses(upstream: string): Promise<{ id: string; atMs: number }[]> {
  const response = await fetch(`${upstream}/bench/closes`);
  const { closes } = (await response.json()) as { closes: { id: string; atMs: number }[] };
  return closes;
}
