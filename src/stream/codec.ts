/**
 * What stands between an engine's dialect and the caller's in one attempt. Where both are the same
 * bytes pass and only the tap reads them; else streams, plain answers and refusals are written
 * anew.
 */
import type { Dialect } from "../grid/dialect.ts";
import { GridError } from "../grid/errors.ts";
import type { Headers } from "../grid/exchange.ts";
import { DOORS } from "../task/route.ts";
import type { Task } from "../task/task.ts";
import type { StreamDialect, WriterOptions } from "./dialects/dialect.ts";
import { parseFields } from "./dialects/fields.ts";
import { STREAM_DIALECTS } from "./dialects/table.ts";
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
    });
  }

  /** A whole answer that was not streamed, as the caller is to see it, or why it is none. */
  plain(whole: Uint8Array, headers: Headers): Uint8Array | GridError {
    if (this.caller === undefined) return whole;
    const fields = parseFields(decoder.decode(whole));
    const answer = fields === undefined ? undefined : this.engine.readAnswer(fields);
    if (answer === undefined) {
      return new GridError("bad_response", "The endpoint's answer is not of its dialect.");
    }
    try {
      return encoder.encode(JSON.stringify(this.caller.writeAnswer(answer, this.options(headers))));
    } catch (error) {
      return error as GridError;
    }
  }

  usage(whole: Uint8Array): Usage | undefined {
    return usageOfBody(whole, this.engine.usageOf);
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
