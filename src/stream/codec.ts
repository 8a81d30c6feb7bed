/**
 * What stands between an engine's dialect and the caller's in one attempt. Where both are the same
 * bytes pass and only the tap reads them; else streams, plain answers and refusals are written
 * anew.
 */
import type { Dialect } from "../grid/dialect.ts";
import { toldFailure } from "./refusal.ts";
import { GridError } from "../grid/errors.ts";
import type { Headers } from "../grid/exchange.ts";
import { DOORS } from "../task/route.ts";
import type { Task } from "../task/task.ts";
import type { StreamDialect, WriterOptions } from "./dialects/dialect.ts";
import { parseFields } from "./dialects/fields.ts";
import { STREAM_DIALECTS } from "./dialects/table.ts";
import {
  endsOpen,
  type Fault,
  faultsOf,
  fitsSchema,
  isModel,
  looksWhole,
  mayBeError,
  TEXT_MAX,
  usageFits,
} from "./result-check.ts";
import { SseTap } from "./tap.ts";
import { type Usage, usageOfBody } from "./usage.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class Codec {
  private readonly task: Task;
  private readonly engine: StreamDialect;
  /** Undefined: the engine speaks it too. */
  private readonly caller: StreamDialect | undefined;

  constructor(task: Task, engine: Dialect) {
    const caller = DOORS[task.route].dialect;
    this.task = task;
    this.engine = STREAM_DIALECTS[engine];
    this.caller = caller === engine ? undefined : STREAM_DIALECTS[caller];
  }

  get translates(): boolean {
    return this.caller !== undefined;
  }

  /** @param headers the engine's */
  tap(headers: Headers, maxEventBytes: number): SseTap {
    return new SseTap({
      dialect: this.engine,
      writer: this.caller?.writer(this.options(headers)),
      dropUsage: this.task.usageAdded,
      choices: this.task.choices,
      maxEventBytes,
      keepText: this.task.schema === undefined ? 0 : TEXT_MAX,
    });
  }

  /**
   * A whole answer that was not streamed, as the caller is to see it, with what is wrong with it.
   * It is parsed only where it must be: to be translated, or to be held against a schema.
   * @throws GridError bad_response when it is no answer of the engine's dialect, endpoint_error
   *   when it tells of one, whatever its status
   */
  plain(whole: Uint8Array, headers: Headers): { body: Uint8Array; faults: Fault[] } {
    const { caller, task } = this;
    this.checkSuccess(whole, headers);
    const { operation } = DOORS[task.route];
    if (operation !== "generate") {
      const embeds = operation === "embed" && caller !== undefined;
      return { body: embeds ? this.embedded(whole, caller) : whole, faults: [] };
    }
    if (caller === undefined && task.schema === undefined) {
      return { body: whole, faults: endsOpen(whole) ? ["finish"] : [] };
    }
    const fields = parseFields(decoder.decode(whole));
    const answer = fields === undefined ? undefined : this.engine.readAnswer(fields);
    if (answer === undefined) {
      throw new GridError("bad_response", "The endpoint's answer is not of its dialect.");
    }
    const faults = faultsOf(answer, task);
    if (endsOpen(whole)) faults.push("finish");
    if (caller === undefined) return { body: whole, faults };
    const written = caller.writeAnswer(answer, this.options(headers));
    return { body: encoder.encode(JSON.stringify(written)), faults };
  }

  /** Some engines, and gateways in front of them, answer 200 with an error, or with nothing. */
  private checkSuccess(whole: Uint8Array, headers: Headers): void {
    // Compressed although we ask for none: the caller's to read.
    if (headers["content-encoding"] !== undefined) return;
    if (!looksWhole(whole)) {
      throw new GridError("bad_response", "The endpoint's answer is not a whole JSON object.");
    }
    if (!mayBeError(whole)) return;
    const fields = parseFields(decoder.decode(whole));
    const error = fields === undefined ? undefined : this.engine.errorOf(fields);
    if (error !== undefined) throw toldFailure(error);
  }

  /** What is wrong with a stream that ended well. */
  faultsOf(tap: SseTap): Fault[] {
    const { task } = this;
    const faults: Fault[] = [];
    if (!tap.finishedAll) faults.push("finish");
    const told = task.usageAdded || task.usageShown;
    if (told && !usageFits(tap.usage, tap.contentEvents > 0)) faults.push("usage");
    if (!isModel(tap.model, task.model)) faults.push("model");
    const { text, reason } = tap;
    const strict = task.schema !== undefined && reason === "stop" && text;
    if (strict && !fitsSchema(text, task.schema)) faults.push("schema");
    return faults;
  }

  private embedded(whole: Uint8Array, caller: StreamDialect): Uint8Array {
    const fields = parseFields(decoder.decode(whole));
    const vectors = fields === undefined ? undefined : this.engine.vectors?.read(fields);
    if (vectors === undefined || caller.vectors === undefined) {
      throw new GridError("bad_response", "The endpoint's answer holds no embeddings.");
    }
    const tokens = this.usage(whole)?.promptTokens ?? Math.round(this.task.promptTokens);
    return encoder.encode(JSON.stringify(caller.vectors.write(vectors, this.task, tokens)));
  }

  usage(whole: Uint8Array): Usage | undefined {
    return usageOfBody(whole, this.engine.usageOf, this.engine.usageKey);
  }

  /** The engine's own words for a request that it refuses, to be put in the caller's dialect. */
  refusal(body: Uint8Array, status: number): GridError {
    const fields = parseFields(decoder.decode(body)) ?? {};
    const said = this.engine.errorOf(fields)?.message;
    const message = said ?? `The endpoint refused the request with status ${status}.`;
    return new GridError("endpoint_rejected", message, { status });
  }

  private options(headers: Headers): WriterOptions {
    const { task } = this;
    return {
      model: task.model,
      id: task.id,
      // The engine's own clock, as its server tells it.
      createdS: Math.floor((Date.parse(headers.date ?? "") || 0) / 1000),
      usage: task.usageShown,
      promptTokens: Math.round(task.promptTokens),
      version: task.dialectHeaders["anthropic-version"],
      asked: task.fields,
    };
  }
}
