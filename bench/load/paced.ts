/** Plain requests at a rate: each connection sends one per period, and late only if it must. */
import { setTimeout as sleep } from "node:timers/promises";
import { monotonicMs } from "./clock.ts";
import type { Site } from "./generator.ts";
import { chatRequest, openConnections } from "./http-client.ts";
import type { PlainRun } from "./plain.ts";

/** A target that hangs must not hang the bench. */
const GRACE_MS = 2_000;
const TICK_MS = 1;

export async function pacedPlain(
  site: Site,
  connections: number,
  rate: number,
  durationS: number,
): Promise<PlainRun> {
  const request = chatRequest(site.base, false, "id=0", site.headers);
  const open = await openConnections(site.base, connections);
  const run: PlainRun = { requests: 0, errors: 0, rps: 0 };
  const periodMs = (1_000 * connections) / rate;
  const startMs = monotonicMs();
  const endMs = startMs + durationS * 1_000;
  // Spread over the period, so that they do not all come at once.
  const dueMs = open.map((_, at) => startMs + (at * periodMs) / connections);
  let pending = 0;
  while (monotonicMs() < endMs) {
    const nowMs = monotonicMs();
    for (const [at, connection] of open.entries()) {
      if (!connection.idle || nowMs < (dueMs[at] as number)) continue;
      dueMs[at] = Math.max((dueMs[at] as number) + periodMs, nowMs - periodMs);
      pending++;
      connection.send(request, {
        onEnd: ({ status }, failure) => {
          pending--;
          if (failure === undefined && status === 200) run.requests++;
          else run.errors++;
        },
      });
    }
    await sleep(TICK_MS);
  }
  while (pending > 0 && monotonicMs() < endMs + GRACE_MS) await sleep(TICK_MS);
  run.errors += pending;
  run.rps = run.requests / durationS;
  for (const connection of open) connection.destroy();
  return run;
}
