/**
 * How many tokens a prompt has before any tokeniser saw it, and how long answers are: learned per
 * model from the usage that engines report. Bytes per token differ by a factor of two between
 * models and languages, so each model has its own mean; a sample that lies far off (an image, a
 * template that is longer than the prompt) moves the mean only a little or not at all.
 */
import { CAPABILITY } from "../grid/endpoint.ts";
import type { Tokens } from "../grid/units.ts";
import type { Task } from "./task.ts";

export interface EstimateOptions {
  /** Models remembered; the one not seen for longest goes. */
  models: number;
  /** Weight of one sample in the means, 0..1. */
  learn: number;
  /** Before anything is learned. English text in current tokenisers has about 4. */
  bytesPerToken: number;
  /** Before anything is learned. */
  outTokens: Tokens;
}

export const ESTIMATE_OPTIONS: EstimateOptions = {
  models: 256,
  learn: 0.05,
  bytesPerToken: 4,
  outTokens: 256,
};

/** A shorter prompt is mostly chat template and says nothing of the text. */
const SAMPLE_BYTES_MIN = 256;
/** A token of any known tokeniser stands for this many bytes on average. */
const RATIO_MIN = 0.5;
const RATIO_MAX = 16;
/** One sample counts as at most this factor away from the mean. */
const OUTLIER = 2;

interface Learned {
  bytesPerToken: number;
  outTokens: Tokens;
  ratios: number;
  outs: number;
  /** Number of the answer that was last learned from. */
  seen: number;
}

export class TokenEstimator {
  private readonly options: EstimateOptions;
  private readonly models = new Map<string, Learned>();
  private answers = 0;

  constructor(options: Partial<EstimateOptions> = {}) {
    this.options = { ...ESTIMATE_OPTIONS, ...options };
  }

  get size(): number {
    return this.models.size;
  }

  bytesPerToken(model: string): number {
    return this.models.get(model)?.bytesPerToken ?? this.options.bytesPerToken;
  }

  /** Tokens of a prompt of `bytes` UTF-8 bytes; at least 1. */
  promptTokens(model: string, bytes: number): Tokens {
    return Math.max(1, Math.ceil(bytes / this.bytesPerToken(model)));
  }

  /** Tokens that an answer will have, all choices together; never more than the caller allows. */
  outTokens(model: string, maxTokens: Tokens | undefined, choices = 1): Tokens {
    const each = this.models.get(model)?.outTokens ?? this.options.outTokens;
    return Math.min(each, maxTokens ?? Number.POSITIVE_INFINITY) * choices;
  }

  /** Learns from the usage of one whole answer. */
  observe(
    asked: Pick<Task, "route" | "model" | "promptBytes" | "needs" | "choices">,
    usage: { promptTokens: Tokens; completionTokens: Tokens },
  ): void {
    const learned = this.touch(asked.model);
    // An image is a short piece of the prompt and many tokens.
    const bytes = (asked.needs & CAPABILITY.vision) !== 0 ? 0 : asked.promptBytes;
    const ratio = bytes / usage.promptTokens;
    if (bytes >= SAMPLE_BYTES_MIN && ratio >= RATIO_MIN && ratio <= RATIO_MAX) {
      learned.bytesPerToken = this.mean(learned.bytesPerToken, ratio, ++learned.ratios);
    }
    const out = usage.completionTokens / asked.choices;
    if (asked.route !== "embeddings" && Number.isFinite(out)) {
      learned.outTokens = this.mean(learned.outTokens, out, ++learned.outs);
    }
  }

  /** The first samples weigh more, so that a model is known after a few answers. */
  private mean(old: number, sample: number, count: number): number {
    const weight = Math.max(this.options.learn, 1 / (count + 1));
    const bounded = Math.min(Math.max(sample, old / OUTLIER), old * OUTLIER);
    return Math.max(old + weight * (bounded - old), RATIO_MIN);
  }

  /** Marks are kept in the entry: moving it in the map would rebuild the map with every answer. */
  private touch(model: string): Learned {
    let learned = this.models.get(model);
    if (learned === undefined) {
      if (this.models.size >= this.options.models) this.forgetOldest();
      const { bytesPerToken, outTokens } = this.options;
      learned = { bytesPerToken, outTokens, ratios: 0, outs: 0, seen: 0 };
      this.models.set(model, learned);
    }
    learned.seen = ++this.answers;
    return learned;
  }

  private forgetOldest(): void {
    let oldest: string | undefined;
    let seen = Number.POSITIVE_INFINITY;
    for (const [model, learned] of this.models) {
      if (learned.seen < seen) {
        oldest = model;
        seen = learned.seen;
      }
    }
    if (oldest !== undefined) this.models.delete(oldest);
  }
}
