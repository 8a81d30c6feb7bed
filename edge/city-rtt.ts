/**
 * Round trips between cities, for the demo's emulated distance and for tests: a sample of the
 * measurements that WonderNetwork (wondernetwork.com) made from 2018-10-27 to 2018-11-10, as
 * collected in ConsenSys/wittgenstein (core/src/main/resources/Data, Apache-2.0), rounded to a
 * tenth. Row: from, column: to; mean of pings, ms.
 */

export const CITIES = [
  "Tokyo",
  "London",
  "Portland",
  "Frankfurt",
  "Singapore",
  "New York",
  "Sydney",
  "Sao Paulo",
] as const;
export type City = (typeof CITIES)[number];

/** A city to itself was not measured there: two sites of one metropolitan network. */
const SAME_CITY_MS = 1;

const RTT_MS: readonly (readonly number[])[] = [
  [0, 217.3, 113.3, 263, 74.1, 215.3, 115.8, 268],
  [216.9, 0, 130.9, 14.5, 183.2, 71, 262.2, 200.5],
  [110.8, 130.7, 0, 140.4, 152, 87.7, 178.9, 172.1],
  [262.9, 15.1, 140.5, 0, 164.1, 96.9, 303.8, 216.6],
  [74, 169.4, 152, 165.8, 0, 244.1, 93, 357.8],
  [215.2, 71.3, 88.1, 96.9, 244.1, 0, 213.7, 137.7],
  [114.8, 262.9, 217.1, 302.7, 93, 251.9, 0, 402.9],
  [271.4, 200.3, 171.1, 215.3, 362.2, 138.8, 402.1, 0],
];

/** Round trip as measured from one city to another, ms. */
export function cityRttMs(from: City, to: City): number {
  if (from === to) return SAME_CITY_MS;
  return RTT_MS[CITIES.indexOf(from)][CITIES.indexOf(to)];
}
