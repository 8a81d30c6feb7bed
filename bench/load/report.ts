/** Rounds to rows: medians over rounds, midmeans over passes; differences inside each round. */
import { execFileSync } from "node:child_process";
import type { Pass, Quantiles, Round } from "./measure.ts";
import { median, midmean } from "./quantile.ts";
import type { Target } from "./targets.ts";

export interface Results {
  target: Target;
  rounds: Round[];
}

type Maybe = number | null;
interface MaybeQuantiles {
  p50: Maybe;
  p99: Maybe;
}

/** The machine-readable form; null = does not apply to this row, or was not seen. */
export interface Row {
  target: string;
  runtime: string;
  streamed: boolean;
  cpuUsPerRequest: Maybe;
  cpuUsPerChunk: Maybe;
  rps: Maybe;
  ttftAddedMs: MaybeQuantiles;
  rssMb: Maybe;
  cancelMs: MaybeQuantiles;
}

const rounded = (value: number): Maybe =>
  Number.isFinite(value) ? Math.round(value * 1_000) / 1_000 : null;

const NOTHING: MaybeQuantiles = { p50: null, p99: null };

const middle = (rounds: Round[], pick: (round: Round) => number): Maybe =>
  rounded(median(rounds.map(pick)));

/** Of what was measured in all passes. */
const costOf = (rounds: Round[], pick: (pass: Pass) => number): number =>
  midmean(rounds.flatMap(({ passes }) => passes.map(pick)));

const middleCost = (rounds: Round[], pick: (pass: Pass) => number): Maybe =>
  rounded(costOf(rounds, pick));

/** Requests of a round that failed. */
export function errorsOf({ passes, ttftErrors }: Round): number {
  return passes.reduce((sum, { plain, chunk }) => sum + plain.errors + chunk.errors, ttftErrors);
}

/** Time added against direct, round by round, so that the machine's mood cancels out. */
function added(
  results: Results,
  direct: Results,
  pick: (round: Round) => Quantiles,
): MaybeQuantiles {
  const difference = (share: "p50" | "p99"): Maybe =>
    rounded(
      median(
        results.rounds.map(
          (round, at) => pick(round)[share] - pick(direct.rounds[at] as Round)[share],
        ),
      ),
    );
  return { p50: difference("p50"), p99: difference("p99") };
}

function rowsOf(results: Results, direct: Results): Row[] {
  const { target, rounds } = results;
  const rssMb = middle(rounds, (round) => round.rssMb);
  const both = { target: target.name, runtime: target.runtime };
  return [
    {
      ...both,
      streamed: false,
      cpuUsPerRequest: middleCost(rounds, ({ plain }) => plain.cpuUs),
      cpuUsPerChunk: null,
      rps: middleCost(rounds, ({ plain }) => plain.rps),
      ttftAddedMs: NOTHING,
      rssMb,
      cancelMs: NOTHING,
    },
    {
      ...both,
      streamed: true,
      cpuUsPerRequest: middle(rounds, (round) => round.stream.cpuUsPerRequest),
      cpuUsPerChunk: middleCost(rounds, ({ chunk }) => chunk.cpuUs),
      rps: middle(rounds, (round) => round.stream.rps),
      ttftAddedMs: added(results, direct, (round) => round.ttftMs),
      rssMb,
      cancelMs: {
        p50: middle(rounds, (round) => round.cancelMs.p50),
        p99: middle(rounds, (round) => round.cancelMs.p99),
      },
    },
  ];
}

function commitOf(): string {
  try {
    const args = ["rev-parse", "--short", "HEAD"];
    const text = execFileSync("git", args, { stdio: ["ignore", "pipe", "ignore"] });
    return text.toString().trim();
  } catch {
    return "unknown";
  }
}

/** @param cores who ran where, in words */
export function machineReport(
  all: Results[],
  cores: string,
): { commit: string; cores: string; rows: Row[] } {
  const direct = all.find((results) => results.target.name === "direct") as Results;
  return { commit: commitOf(), cores, rows: all.flatMap((results) => rowsOf(results, direct)) };
}

const cell = (value: Maybe, digits = 1): string => (value === null ? "-" : value.toFixed(digits));

function table(lines: string[][]): string {
  const widths = (lines[0] as string[]).map((_, column) =>
    Math.max(...lines.map((line) => (line[column] as string).length)),
  );
  const padded = (line: string[]): string =>
    line
      .map((text, column) => {
        const width = widths[column] as number;
        return column === 0 ? text.padEnd(width) : text.padStart(width);
      })
      .join("  ");
  return lines.map(padded).join("\n");
}

/**
 * What gridpoint costs by what the peer costs. Noise of one second says nothing of the next here:
 * midmeans of all passes differ by less from run to run than the median of ratios pass by pass.
 */
function ratioLine(grid: Results, peer: Results): string {
  const over = (pick: (pass: Pass) => number): string =>
    cell(rounded(costOf(grid.rounds, pick) / costOf(peer.rounds, pick)), 2);
  const streamed = median(
    grid.rounds.map(
      ({ stream }, at) =>
        stream.cpuUsPerRequest / (peer.rounds[at] as Round).stream.cpuUsPerRequest,
    ),
  );
  return (
    `${grid.target.name} / ${peer.target.name}: ` +
    `CPU per plain request ${over(({ plain }) => plain.cpuUs)}, ` +
    `per streamed request ${cell(rounded(streamed), 2)}, ` +
    `per chunk ${over(({ chunk }) => chunk.cpuUs)}`
  );
}

const HEADINGS = [
  "target",
  "runtime",
  "us/plain",
  "plain rps",
  "us/stream",
  "us/chunk",
  "+ttft p50",
  "p99 ms",
  "slow p50",
  "p99 ms",
  "gap p99 ms",
  "cancel p50",
  "p99 ms",
  "cancels",
  "rss MB",
  "errors",
];

function personLine(results: Results, direct: Results): string[] {
  const [plain, streamed] = rowsOf(results, direct) as [Row, Row];
  const { target, rounds } = results;
  const slow = added(results, direct, (round) => round.ttftSlowMs);
  const sum = (pick: (round: Round) => number): number =>
    rounds.reduce((total, round) => total + pick(round), 0);
  const errors = sum(errorsOf);
  return [
    target.name,
    target.runtime,
    cell(plain.cpuUsPerRequest),
    cell(plain.rps, 0),
    cell(streamed.cpuUsPerRequest),
    cell(streamed.cpuUsPerChunk),
    cell(streamed.ttftAddedMs.p50, 2),
    cell(streamed.ttftAddedMs.p99, 2),
    cell(slow.p50, 2),
    cell(slow.p99, 2),
    cell(
      middleCost(rounds, ({ gapMs }) => gapMs.p99),
      2,
    ),
    cell(streamed.cancelMs.p50, 2),
    cell(streamed.cancelMs.p99, 2),
    `${sum((round) => round.cancels.seen)}/${sum((round) => round.cancels.asked)}`,
    cell(plain.rssMb, 0),
    String(errors),
  ];
}

export function personReport(all: Results[], cores: string): string {
  const direct = all.find((results) => results.target.name === "direct") as Results;
  const isGrid = ({ target }: Results) => target.name.startsWith("gridpoint");
  const peers = all.filter((one) => one.target.running !== undefined && !isGrid(one));
  const ratios = all.filter(isGrid).flatMap((grid) => peers.map((peer) => ratioLine(grid, peer)));
  return [
    table([HEADINGS, ...all.map((results) => personLine(results, direct))]),
    "",
    ...ratios,
    "CPU is user and system time of the target's processes. +ttft is against direct in the same",
    "round; slow is a fifth of the rate. cancels: how many of the left streams the upstream saw",
    `end early. Cores: ${cores}.`,
  ].join("\n");
}
