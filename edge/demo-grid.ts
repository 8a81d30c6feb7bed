/**
 * The grid of the demo: three cities, four engines, prices and speeds that differ, and the config
 * of each PoP. Distances between the PoPs are those measured between the cities.
 */
import type { City } from "./city-rtt.ts";

/** One engine. USD per million tokens; `rttMs`: from its PoP, which `distance.ts` adds. */
export interface DemoEngine {
  id: string;
  tier: "edge" | "regional" | "core";
  profile: string;
  gpu: string;
  models: string[];
  rttMs: number;
  priceIn: number;
  priceOut: number;
}

export interface DemoPop {
  id: string;
  city: City;
  tier: "edge" | "regional" | "core";
  region: string;
  engines: DemoEngine[];
}

const EDGE = { tier: "edge", profile: "l40s-8b", gpu: "1 x L40S", models: ["demo-8b"] } as const;

export const POPS: DemoPop[] = [
  {
    id: "tokyo",
    city: "Tokyo",
    tier: "edge",
    region: "jp-13",
    engines: [
      { ...EDGE, id: "edge-1", models: ["demo-8b"], rttMs: 1, priceIn: 0.05, priceOut: 0.1 },
    ],
  },
  {
    id: "london",
    city: "London",
    tier: "edge",
    region: "eu-gb",
    engines: [
      { ...EDGE, id: "edge-1", models: ["demo-8b"], rttMs: 1, priceIn: 0.05, priceOut: 0.1 },
      {
        id: "regional-1",
        tier: "regional",
        profile: "h100-8b",
        gpu: "1 x H100",
        models: ["demo-8b"],
        rttMs: 8,
        priceIn: 0.1,
        priceOut: 0.3,
      },
    ],
  },
  {
    id: "oregon",
    city: "Portland",
    tier: "core",
    region: "us-or",
    engines: [
      {
        id: "core-1",
        tier: "core",
        profile: "b200-70b",
        gpu: "1 x B200",
        models: ["demo-8b", "demo-70b"],
        rttMs: 1,
        priceIn: 0.6,
        priceOut: 1.2,
      },
    ],
  },
];

export interface DemoConfig {
  pop: DemoPop;
  port: number;
  /** By the pop's engines: where each is reached. */
  engineUrls: string[];
  /** Doors of the other PoPs, and where this one reaches them. */
  via: Record<string, string>;
}

/** Environment variable in which the PoPs find their keys. */
export const KEY_VARIABLE = "GRIDPOINT_DEMO_KEY";
const KEY = `\${${KEY_VARIABLE}}`;

/** As `gridpoint serve` reads it. */
export function popConfig({ pop, port, engineUrls, via }: DemoConfig) {
  const { id, tier, region } = pop;
  return {
    pop: { id, tier, region },
    listen: { host: "127.0.0.1", port },
    endpoints: pop.engines.map((engine, index) => {
      const { id, tier, models, rttMs, priceIn, priceOut } = engine;
      const priceCached = priceIn / 10;
      const url = engineUrls[index];
      return { id, url, engine: "vllm", tier, models, rttMs, priceIn, priceCached, priceOut };
    }),
    peers: { key: KEY },
    gossip: { grid: "demo", sharedKey: KEY, zone: id, seeds: Object.keys(via), via },
    timeouts: { drainMs: 1_000 },
    log: { level: "warn" },
  };
}
