/**
 * Pages of Prometheus text from the processes of one PoP as one page: counters and histograms are
 * sums; of a gauge, which every process holds of the same thing, the largest.
 */
export function mergeMetrics(pages: readonly string[]): string {
  const kinds = new Map<string, string>();
  /** By family, in the order of the first page that has it: its comments, then its series. */
  const families = new Map<string, { comments: string[]; series: Map<string, number> }>();
  const familyOf = (name: string) => {
    const known = families.get(name);
    if (known !== undefined) return known;
    const fresh = { comments: [], series: new Map<string, number>() };
    families.set(name, fresh);
    return fresh;
  };
  for (const page of pages) {
    for (const line of page.split("\n")) {
      const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
      if (comment !== null) {
        const [, word, name, rest] = comment as unknown as [string, string, string, string];
        if (word === "TYPE") kinds.set(name, rest);
        const { comments } = familyOf(name);
        if (!comments.includes(line)) comments.push(line);
        continue;
      }
      const sample = /^([A-Za-z_:][\w:]*)(\{.*\})? (\S+)$/.exec(line);
      if (sample === null) continue;
      const [, name, labels = "", text] = sample as unknown as [string, string, string, string];
      const base = name.replace(/_(bucket|sum|count)$/, "");
      const family = kinds.get(base) === "histogram" ? base : name;
      const { series } = familyOf(family);
      const key = name + labels;
      const before = series.get(key);
      const value = Number(text);
      if (before === undefined) series.set(key, value);
      else
        series.set(key, kinds.get(family) === "gauge" ? Math.max(before, value) : before + value);
    }
  }
  const lines = [...families.values()].flatMap(({ comments, series }) => [
    ...comments,
    ...[...series].map(([key, value]) => `${key} ${text(value)}`),
  ]);
  return `${lines.join("\n")}\n`;
}

/** As Prometheus writes what JavaScript writes otherwise. */
function text(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}
