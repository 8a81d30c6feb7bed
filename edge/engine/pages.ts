/** The load and metrics pages of the emulated engine, which a fault can freeze. */
import type { EngineModel } from "../../src/sim/engine.ts";
import { type EngineMetrics, renderLoads, renderMetrics } from "./metrics.ts";

const RATE_WINDOW_MS = 250;
const PATHS = ["/metrics", "/v1/loads", "/load"];

export class Pages {
  private readonly model: EngineModel<unknown>;
  private readonly metrics: EngineMetrics;
  private readonly modelId: string;
  private readonly openCalls: () => number;
  private frozen: { untilMs: number; pages: Map<string, string> } | undefined;
  private rate = { atMs: performance.now(), tokens: 0, perS: 0 };

  constructor(
    model: EngineModel<unknown>,
    metrics: EngineMetrics,
    modelId: string,
    openCalls: () => number,
  ) {
    this.model = model;
    this.metrics = metrics;
    this.modelId = modelId;
    this.openCalls = openCalls;
  }

  get isFrozen(): boolean {
    return this.frozen !== undefined && performance.now() < this.frozen.untilMs;
  }

  /** Repeats the present answers for `ms`; 0 = until `thaw`. */
  freeze(ms: number): void {
    const untilMs = ms === 0 ? Number.POSITIVE_INFINITY : performance.now() + ms;
    this.frozen = { untilMs, pages: new Map(PATHS.map((path) => [path, this.render(path)])) };
  }

  thaw(): void {
    this.frozen = undefined;
  }

  /** `path` is one of /metrics, /v1/loads, /load. */
  page(path: string): string {
    const frozen = this.isFrozen ? this.frozen?.pages.get(path) : undefined;
    return frozen ?? this.render(path);
  }

  /** Output rate over the last quarter of a second or longer. */
  sampleRate(nowMs: number): void {
    const spanMs = nowMs - this.rate.atMs;
    if (spanMs < RATE_WINDOW_MS) return;
    const tokens = this.model.counters.generatedTokens;
    this.rate = { atMs: nowMs, tokens, perS: ((tokens - this.rate.tokens) / spanMs) * 1000 };
  }

  private render(path: string): string {
    if (path === "/load") return JSON.stringify({ server_load: this.openCalls() });
    const { counters, profile } = this.model;
    const load = this.model.load();
    if (path === "/metrics") {
      return renderMetrics(this.metrics, load, counters, profile, this.modelId);
    }
    this.sampleRate(performance.now());
    return renderLoads(load, counters, profile, this.rate.perS, new Date().toISOString());
  }
}
