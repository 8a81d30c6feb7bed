/**
 * Where things are: which PoP has which workers, where users are, how far PoPs are from each
 * other. Without a geo file: workers dealt out in turn, users everywhere alike, no distance.
 */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { mix } from "./random.ts";

export interface Places {
  names: string[];
  /** PoP of each worker. */
  popOf: number[];
  /** Running sum of the shares of users, ending in 1. */
  userShares: number[];
  /** Round trip from PoP to PoP. */
  rttMs: number[][];
}

export class GeoError extends Error {}

export function evenPlaces(pops: number, workers: number): Places {
  const each = Array.from({ length: pops }, (_, pop) => pop);
  return {
    names: each.map((pop) => `pop-${pop}`),
    popOf: Array.from({ length: workers }, (_, worker) => worker % pops),
    userShares: each.map((pop) => (pop + 1) / pops),
    rttMs: each.map(() => each.map(() => 0)),
  };
}

/** The PoP where a user's request comes in: `key` names the user. */
export function entryPop(places: Places, key: number, seed: number): number {
  const drawn = mix(key, seed) / 2 ** 32;
  const found = places.userShares.findIndex((share) => drawn < share);
  return found < 0 ? places.userShares.length - 1 : found;
}

interface GeoFile {
  pops: { name: string; workers: number; users: number }[];
  /** One of the two: round trips in ms, or a CSV matrix with city names, relative to the file. */
  rttMs?: number[][];
  rttCsv?: string;
}

/** @throws GeoError naming what to change in the file */
export function readPlaces(file: string): Places {
  const geo = read(file);
  if (!Array.isArray(geo.pops) || geo.pops.length === 0) {
    throw new GeoError(`${file}: "pops" must be a list of {name, workers, users}`);
  }
  for (const { name, workers, users } of geo.pops) {
    if (!(Number.isInteger(workers) && workers >= 1) || !(users >= 0)) {
      throw new GeoError(`${file}: ${name}: workers must be 1 or more, users a share from 0 on`);
    }
  }
  const all = geo.pops.reduce((sum, { users }) => sum + users, 0);
  let sum = 0;
  const userShares = geo.pops.map(({ users }) => {
    sum += users;
    return sum / all;
  });
  const rttMs = geo.rttMs ?? matrixOf(file, geo);
  const size = geo.pops.length;
  if (rttMs.length !== size || rttMs.some((row) => row.length !== size)) {
    throw new GeoError(`${file}: "rttMs" must have one row and one column per PoP`);
  }
  return {
    names: geo.pops.map(({ name }) => name),
    popOf: geo.pops.flatMap(({ workers }, pop) => Array<number>(workers).fill(pop)),
    userShares,
    rttMs,
  };
}

function read(file: string): GeoFile {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as GeoFile;
  } catch (error) {
    throw new GeoError(`${file}: no JSON file of places: ${(error as Error).message}`);
  }
}

function matrixOf(file: string, { pops, rttCsv }: GeoFile): number[][] {
  if (rttCsv === undefined) throw new GeoError(`${file}: say "rttMs" or "rttCsv"`);
  const path = resolve(dirname(file), rttCsv);
  const rows = readFileSync(path, "utf8")
    .trim()
    .split(/\r?\n/)
    .map((line) => line.split(","));
  const columns = rows[0];
  return pops.map(({ name: from }) => {
    const row = rows.find(([city]) => city === from);
    if (row === undefined) throw new GeoError(`${path}: no row for ${from}`);
    return pops.map(({ name: to }) => {
      const rtt = from === to ? 0 : Number(row[columns.indexOf(to)] || Number.NaN);
      if (Number.isNaN(rtt)) throw new GeoError(`${path}: no round trip ${from} to ${to}`);
      return rtt;
    });
  });
}
