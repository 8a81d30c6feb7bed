/**
 * What the demo prints: once what there is and what to try, then who serves what. On a terminal
 * the table is redrawn in place; elsewhere a line is written when something changed.
 */
import type { GridView } from "./top-view.ts";
import type { DemoEngine, DemoPop } from "./demo-grid.ts";

export interface DemoFacts {
  pops: readonly DemoPop[];
  /** By `pops`. */
  urls: readonly string[];
  pids: readonly number[];
  /** By the pops' engines, in order. */
  enginePids: readonly number[];
  /** Of the ways between PoPs: "Tokyo-London 217 ms". */
  ways: readonly string[];
  tookMs: number;
}

export function welcome(facts: DemoFacts): string {
  const { pops, urls, tookMs } = facts;
  const engines = pops.reduce((sum, pop) => sum + pop.engines.length, 0);
  const [first] = urls;
  return `Gridpoint demo: ${pops.length} PoPs, ${engines} emulated engines, \
ready in ${(tookMs / 1000).toFixed(1)} s

  base URL  ${first}/v1   (or any other PoP's)

${places(facts).join("\n")}

  ${facts.ways.join(", ")} (emulated)

Ask it something (the answer is filler text: the engines compute time, not words):

  curl -N ${first}/v1/chat/completions -H 'content-type: application/json' \\
    -d '{"model":"demo-8b","stream":true,"messages":[{"role":"user","content":"Hello"}]}'

A model that only the core has, asked at the edge: -d '{"model":"demo-70b", ...}'
Which engine would take it, and why (nothing is sent):

  curl -s ${first}/grid/explain -H 'content-type: application/json' \\
    -d '{"model":"demo-8b","messages":[{"role":"user","content":"Hello"}]}'

Look around:   npm run -s gridpoint top -- --url ${first}
               curl -s ${first}/metrics
Try:           kill -9 ${facts.enginePids[0]}, an engine, or ${facts.pids[1]}, a PoP; then ask again

Ctrl-C ends everything.
`;
}

function places({ pops, urls, pids, enginePids }: DemoFacts): string[] {
  let engine = 0;
  const rows = pops.flatMap((pop, index) => [
    [pop.id, `PoP, ${pop.tier}`, urls[index], "", `pid ${pids[index]}`],
    ...pop.engines.map((one) => engineRow(one, enginePids[engine++])),
  ]);
  return aligned(rows).map((row) => `  ${row}`);
}

function engineRow(engine: DemoEngine, pid: number): string[] {
  const { id, gpu, models, priceIn, priceOut } = engine;
  const price = `$${priceIn.toFixed(2)} in, $${priceOut.toFixed(2)} out per 1M tokens`;
  return [`  ${id}`, `${gpu}, emulated`, models.join(", "), price, `pid ${pid}`];
}

function aligned(rows: readonly string[][]): string[] {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]))
      .join("  ")
      .trimEnd(),
  );
}

/** One line of the table: an endpoint, and how many requests each PoP sent there. */
export interface Served {
  pop: string;
  endpoint: string;
  models: string[];
  state: string;
  running: number;
  /** By the PoPs that were asked. */
  from: number[];
}

/** Puts what each PoP says of itself and of the others together; undefined: it did not answer. */
export function served(
  pops: readonly string[],
  views: readonly (GridView | undefined)[],
): Served[] {
  const lines: Served[] = [];
  pops.forEach((pop, home) => {
    const other = views.find((view) => view !== undefined);
    const own = views[home]?.pops[0] ?? other?.pops.find(({ id }) => id === pop);
    for (const endpoint of own?.endpoints ?? []) {
      const name = endpoint.id.slice(endpoint.id.indexOf("/") + 1);
      const from = views.map((view, index) => {
        if (index === home) return 0;
        const remote = view?.pops.find(({ id }) => id === pop)?.endpoints;
        return remote?.find(({ id }) => id === `${pop}/${name}`)?.requests ?? 0;
      });
      // What others handed over is counted there too.
      const handed = from.reduce((sum, count) => sum + count, 0);
      const here = views[home] !== undefined;
      from[home] = here ? Math.max(0, endpoint.requests - handed) : 0;
      const state = here ? endpoint.phase : "gone";
      const running = here ? (endpoint.running ?? 0) : 0;
      lines.push({ pop, endpoint: name, models: endpoint.models, state, running, from });
    }
  });
  return lines;
}

export function servedTable(pops: readonly string[], lines: readonly Served[]): string[] {
  const head = ["SERVED BY", "ENDPOINT", "MODELS", "STATE", "RUN"];
  const rows = lines.map(({ pop, endpoint, models, state, running, from }) => [
    ...[pop, endpoint, models.join(", "), state, String(running)],
    ...from.map(String),
  ]);
  return aligned([[...head, ...pops.map((pop) => `ASKED AT ${pop.toUpperCase()}`)], ...rows]);
}

/** The same in one line, for logs: only what has served. */
export function servedLine(pops: readonly string[], lines: readonly Served[]): string {
  const parts = lines.flatMap(({ pop, endpoint, from }) => {
    const shares = pops.flatMap((name, i) => (from[i] > 0 ? [`${from[i]} of ${name}`] : []));
    return shares.length > 0 ? [`${pop}/${endpoint} served ${shares.join(", ")}`] : [];
  });
  return parts.join("; ");
}
