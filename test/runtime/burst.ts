/**
 * `npm run test:burst`: three times what two engines can do, for 30 s, half interactive and half
 * batch, late binding against early. With late binding interactive requests are in time or
 * refused at once, batch finishes, nothing is lost: it exits with 1 when one of these fails.
 * Takes about four minutes.
 */
import { type BurstOutcome, type ClassOutcome, quantile, runBurst } from "./burst-run.ts";

const SLO_MS = 2_000;
/** "At once" for a refusal: a decision and a round trip on a busy machine. */
const REFUSAL_MS = 250;
const BURST = { engines: 2, seconds: 30, overload: 3, sloMs: SLO_MS, calibrateMs: 3_000 } as const;
let failed = false;

function check(what: string, fine: boolean): void {
  failed ||= !fine;
  process.stdout.write(`${fine ? "ok  " : "FAIL"} ${what}\n`);
}

function line(name: string, of: ClassOutcome): void {
  const ms = (share: number) => `${Math.round(quantile(of.ttftMs, share))}`;
  const within = of.ttftMs.filter((ttft) => ttft <= SLO_MS).length;
  process.stdout.write(
    `  ${name.padEnd(12)} offered ${of.offered}, served ${of.served} (${within} within ` +
      `${SLO_MS} ms), refused ${of.refused}, retried ${of.retried}, lost ${of.lost}; ` +
      `TTFT p50 ${ms(0.5)}, p90 ${ms(0.9)}, p99 ${ms(0.99)} ms\n`,
  );
}

function show(binding: string, outcome: BurstOutcome): void {
  const { capacityTokensPerS, allDoneS } = outcome;
  process.stdout.write(
    `${binding} binding, capacity ${Math.round(capacityTokensPerS)} tokens/s, ` +
      `all done after ${allDoneS.toFixed(1)} s\n`,
  );
  line("interactive", outcome.interactive);
  line("batch", outcome.batch);
}

const late = await runBurst({ ...BURST, binding: "late" });
show("late", late);
const early = await runBurst({ ...BURST, binding: "early" });
show("early", early);
const { interactive, batch } = late;
check("interactive p99 TTFT within its target", quantile(interactive.ttftMs, 0.99) <= SLO_MS);
check(
  `refused within ${REFUSAL_MS} ms, with Retry-After`,
  interactive.refused === 0 || quantile(interactive.refusalMs, 0.99) <= REFUSAL_MS,
);
check("all of batch finished", batch.served === batch.offered);
check("nothing lost", interactive.lost + batch.lost === 0);
process.exitCode = failed ? 1 : 0;
