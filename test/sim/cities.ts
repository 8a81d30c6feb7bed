/** The committed sample of a real round-trip matrix; its README says where it is from. */
import { readFileSync } from "node:fs";

const rows = readFileSync(new URL("../fixtures/network/rtt-ms.csv", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((row) => row.split(","));

const names = rows[0].slice(1);
const cells = rows.slice(1).map((row) => row.slice(1).map(Number));

/** The matrix of all cities, or of those named, in their order. */
export function roundTrips(cities: readonly string[] = names): number[][] {
  const indices = cities.map((city) => {
    const index = names.indexOf(city);
    if (index < 0) throw new Error(`no city "${city}" in test/fixtures/network/rtt-ms.csv`);
    return index;
  });
  return indices.map((from) => indices.map((to) => cells[from][to]));
}
