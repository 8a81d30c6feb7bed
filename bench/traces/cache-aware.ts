/**
 * SGLang's cache_aware (sgl-model-gateway, `policies/cache_aware.rs`): load is requests in
 * flight. Out of balance: the least loaded. Else the worker with the longest match in a tree of
 * what was sent where, if it matches enough of the prompt; else the least loaded.
 */
import { leastOf, type Policy, type PolicyInput } from "./policy.ts";
import type { TraceRequest } from "./trace.ts";

export interface CacheAwareOptions {
  /** Share of the prompt that must match. */
  threshold: number;
  balanceAbs: number;
  balanceRel: number;
}

export function cacheAware(options: CacheAwareOptions): (input: PolicyInput) => Policy {
  return (input) => new CacheAware(options, input);
}

class CacheAware implements Policy {
  private readonly options: CacheAwareOptions;
  private readonly input: PolicyInput;
  /** Who was last sent a block. The tree is never corrected by what engines evict. */
  private readonly tenant = new Map<number, number>();

  constructor(options: CacheAwareOptions, input: PolicyInput) {
    this.options = options;
    this.input = input;
  }

  route(request: TraceRequest): number {
    const worker = this.choose(request);
    for (const block of request.blocks) this.tenant.set(block, worker);
    return worker;
  }

  private choose({ blocks }: TraceRequest): number {
    const { fleet, random } = this.input;
    const { threshold, balanceAbs, balanceRel } = this.options;
    const loads = fleet.engines.map((_, worker) => fleet.inFlight(worker));
    const most = Math.max(...loads);
    const least = Math.min(...loads);
    const leastLoaded = () => leastOf(fleet.size, (worker) => loads[worker], random);
    if (most - least > balanceAbs && most > balanceRel * least) return leastLoaded();
    let depth = 0;
    while (depth < blocks.length && this.tenant.has(blocks[depth])) depth++;
    if (depth === 0 || depth / blocks.length <= threshold) return leastLoaded();
    return this.tenant.get(blocks[depth - 1]) as number;
  }
}
