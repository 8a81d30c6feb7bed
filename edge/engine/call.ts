/**
 * One request inside the emulated engine: its choices, what of the answer is out, and the fault
 * that it carries. Text and length of an answer are known when it is accepted (they follow from the
 * prompt), so stop strings are found beforehand and a token only moves an end mark.
 */
import type { ServerResponse } from "node:http";
import type { Sequence } from "../../src/sim/engine.ts";
import type { Fault } from "./faults.ts";
import type { ReadPrompt } from "./filler.ts";
import { CHARS_PER_TOKEN, type Output, outputKeys, outputSalt, outputText } from "./filler.ts";
import { sendJson } from "./http.ts";
import { chatLogprobs, textLogprobs } from "./logprobs.ts";
import type { EngineMetrics } from "./metrics.ts";
import type { Generation } from "./openai-api.ts";
import { DONE_EVENT, Reply, STREAM_HEADERS, type Route } from "./reply.ts";
import type { Said } from "./said.ts";
import { outputIds } from "./token-ids.ts";

export interface Choice {
  readonly call: Call;
  readonly index: number;
  readonly output: Output;
  readonly prompt: ReadPrompt;
  readonly model: string;
  /** Token ids of the prompt, where somebody wants them. */
  readonly ids: readonly number[] | undefined;
  /** Tokens that it will generate, and why it ends. */
  readonly limit: number;
  readonly finish: "stop" | "length";
  /** Characters of its text; fewer than the tokens hold when a stop string cut it. */
  readonly chars: number;
  /** Content keys of blocks that end in the output. */
  readonly keyOf: (block: number) => number;
  sequence: Sequence<Choice> | undefined;
  sent: number;
  queuedAt: number;
  admittedAt: number;
  firstAt: number;
  lastAt: number;
}

/** What a call needs from its server. */
export interface CallHost {
  readonly metrics: EngineMetrics;
  /** A fault wants the whole process gone. */
  crash(): void;
}

export class Call {
  readonly choices: Choice[] = [];
  readonly fault: Fault | undefined;
  isDirty = false;
  isOver = false;
  private readonly host: CallHost;
  private readonly response: ServerResponse;
  private readonly route: Route;
  private readonly generation: Generation;
  readonly said: Said;
  private readonly reply: Reply;
  private pending = "";
  private tokens = 0;
  private finished = 0;
  private isMute = false;
  private readonly dripped: string[] = [];
  private dripTimer: NodeJS.Timeout | undefined;

  constructor(
    host: CallHost,
    response: ServerResponse,
    route: Route,
    generation: Generation,
    said: Said,
    created: number,
    fault: Fault | undefined,
  ) {
    this.host = host;
    this.response = response;
    this.route = route;
    this.generation = generation;
    this.said = said;
    this.reply = new Reply(route, generation, created, said);
    this.fault = fault;
  }

  /** Headers at once for a stream, so that they do not wait for the first token. */
  open(flush: boolean): void {
    if (!this.generation.stream) return;
    this.response.writeHead(200, STREAM_HEADERS);
    if (flush) this.response.flushHeaders();
  }

  /** One more token of a choice, at `nowMs`. */
  token(choice: Choice, generated: number, isLast: boolean, nowMs: number): void {
    this.measure(choice, isLast, nowMs);
    this.tokens++;
    if (isLast) this.finished++;
    const limit = this.fault === undefined ? Number.POSITIVE_INFINITY : this.fault.afterTokens;
    if (this.generation.stream && (this.fault?.kind === "drip" || this.tokens <= limit)) {
      this.addEvent(choice, generated, isLast);
    }
  }

  private addEvent(choice: Choice, generated: number, isLast: boolean): void {
    const end = isLast ? choice.chars : Math.min(generated * CHARS_PER_TOKEN, choice.chars);
    const { output } = choice;
    const text = this.escaped(outputText(output, choice.sent, end));
    const { returnTokenIds } = this.generation;
    const ids = returnTokenIds ? outputIds(output, generated - 1, generated) : undefined;
    const logprobs = this.logprobs(output, generated - 1, generated);
    const promptIds = generated === 1 && returnTokenIds ? choice.ids : undefined;
    if (generated === 1) this.pending += this.reply.opening(choice.index, promptIds);
    if (text !== "" || isLast) {
      const finish = isLast ? this.reasonOf(choice) : null;
      this.pending += this.reply.event(choice.index, text, finish, { ids, promptIds, logprobs });
    }
    choice.sent = end;
    if (this.finished < this.choices.length) return;
    if (this.generation.includeUsage) {
      this.pending += this.reply.usageEvent(this.promptTokens, this.tokens, this.cachedTokens);
    }
    this.pending += DONE_EVENT;
  }

  /** Filler needs no escape. */
  private escaped(text: string): string {
    return this.said.json === undefined ? text : JSON.stringify(text).slice(1, -1);
  }

  private reasonOf({ finish }: Choice): string {
    return finish === "stop" && this.said.kind === "call" ? "tool_calls" : finish;
  }

  private logprobs(output: Output, from: number, end: number): string | undefined {
    const { logprobs: top } = this.said;
    if (top === undefined) return undefined;
    const form = this.route === "chat" ? chatLogprobs : textLogprobs;
    return form(output, from, end, top);
  }

  /** Sends what the step brought; lets the fault strike when its token is reached. */
  flush(): void {
    this.isDirty = false;
    if (this.isOver || this.isMute) return;
    const fault = this.fault;
    if (fault?.kind === "drip") return this.drip(fault.ms);
    if (fault !== undefined && strikesMidStream(fault) && this.tokens >= fault.afterTokens) {
      return this.strike(fault);
    }
    const isComplete = this.finished === this.choices.length;
    if (!this.generation.stream) {
      if (isComplete) this.sendWhole();
      return;
    }
    const bytes = this.pending;
    this.pending = "";
    if (isComplete) {
      this.isOver = true;
      this.response.end(bytes);
    } else if (bytes !== "") this.response.write(bytes);
  }

  /** The client left or the engine restarts: nothing more is sent. */
  close(): void {
    this.isOver = true;
    clearTimeout(this.dripTimer);
  }

  /** Breaks the connection as a dying process does. */
  reset(): void {
    this.close();
    const socket = this.response.socket;
    if (socket !== null) socket.resetAndDestroy();
    else this.response.destroy();
  }

  private strike(fault: Fault): void {
    this.isMute = true;
    if (this.generation.stream && this.pending !== "") this.response.write(this.pending);
    if (fault.kind === "stall") return;
    // What was written must be on the wire before the connection goes, or the client sees nothing.
    setImmediate(() => {
      if (fault.kind === "truncate") this.response.end();
      else if (fault.kind === "reset") this.reset();
      else this.host.crash();
    });
  }

  /** One event every `ms`; a whole answer is one event. */
  private drip(ms: number): void {
    if (!this.generation.stream) {
      if (this.finished < this.choices.length || this.dripTimer !== undefined) return;
      this.dripTimer = setTimeout(() => this.sendWhole(), ms);
      return;
    }
    this.dripped.push(...this.pending.split(/(?<=\n\n)/));
    this.pending = "";
    if (this.dripTimer !== undefined) return;
    this.dripTimer = setTimeout(() => this.dripOne(ms), ms);
  }

  private dripOne(ms: number): void {
    if (this.isOver) return;
    const event = this.dripped.shift();
    if (event === DONE_EVENT) {
      this.isOver = true;
      this.response.end(event);
      return;
    }
    if (event !== undefined) this.response.write(event);
    this.dripTimer = setTimeout(() => this.dripOne(ms), ms);
  }

  private sendWhole(): void {
    if (this.isOver) return;
    this.isOver = true;
    const { returnTokenIds } = this.generation;
    const choices = this.choices.map((choice) => {
      const { index, output, chars, limit, ids } = choice;
      const text = outputText(output, 0, chars);
      const logprobs = this.logprobs(output, 0, Math.ceil(chars / CHARS_PER_TOKEN));
      const told = { index, text, finish: this.reasonOf(choice), logprobs };
      return returnTokenIds ? { ...told, promptIds: ids, ids: outputIds(output, 0, limit) } : told;
    });
    const { promptTokens, tokens, cachedTokens } = this;
    sendJson(this.response, 200, this.reply.whole(choices, promptTokens, tokens, cachedTokens));
  }

  /** Prompts count once, however many choices they have. */
  private get promptTokens(): number {
    const { n } = this.generation;
    return this.choices.reduce((sum, c) => (c.index % n === 0 ? sum + c.prompt.tokens : sum), 0);
  }

  private get cachedTokens(): number {
    const { n } = this.generation;
    const cached = (choice: Choice): number => choice.sequence?.cached ?? 0;
    return this.choices.reduce((sum, c) => (c.index % n === 0 ? sum + cached(c) : sum), 0);
  }

  private measure(choice: Choice, isLast: boolean, nowMs: number): void {
    const { metrics } = this.host;
    if (choice.firstAt === 0) {
      choice.firstAt = nowMs;
      metrics.timeToFirstToken.observe((nowMs - choice.queuedAt) / 1000);
      metrics.prefillTime.observe((nowMs - choice.admittedAt) / 1000);
    } else metrics.interTokenLatency.observe((nowMs - choice.lastAt) / 1000);
    choice.lastAt = nowMs;
    if (!isLast) return;
    metrics.endToEnd.observe((nowMs - choice.queuedAt) / 1000);
    metrics.decodeTime.observe((nowMs - choice.firstAt) / 1000);
    metrics.generationTokens.observe(choice.limit);
    metrics.finished[choice.finish]++;
  }
}

function strikesMidStream(fault: Fault): boolean {
  return fault.kind !== "delay" && fault.kind !== "status" && fault.kind !== "drip";
}

/** Settles how long a choice gets and where its text ends. `room` = context left for output. */
export function planChoice(
  call: Call,
  index: number,
  prompt: ReadPrompt,
  ids: readonly number[] | undefined,
  generation: Generation,
  settings: { room: number; meanTokens: number; seed: number; blockTokens: number },
): Choice {
  const salt = outputSalt(prompt, settings.seed, index);
  const most = Math.min(generation.maxTokens ?? settings.room, settings.room);
  const { json } = call.said;
  const output: Output = { salt, json };
  const length = lengthOf(output, most, generation, settings.meanTokens);
  let limit = Math.min(length, most);
  let chars = Math.min(limit * CHARS_PER_TOKEN, json?.length ?? Number.POSITIVE_INFINITY);
  let finish: "stop" | "length" = length <= most ? "stop" : "length";
  const stopAt = findStop(output, chars, generation);
  if (stopAt !== undefined) {
    limit = Math.min(limit, Math.ceil(stopAt.end / CHARS_PER_TOKEN));
    chars = stopAt.start;
    finish = "stop";
  }
  const times = { queuedAt: 0, admittedAt: 0, firstAt: 0, lastAt: 0 };
  const keyOf = outputKeys(prompt, output, settings.blockTokens);
  const { model } = generation;
  const fixed = { call, index, output, prompt, model, ids, limit, finish, chars, keyOf };
  return { ...fixed, sequence: undefined, sent: 0, ...times };
}

/** Tokens of the whole answer; JSON has its own end, whatever is asked for. */
function lengthOf(
  { salt, json }: Output,
  most: number,
  { ignoreEos, minTokens }: Generation,
  meanTokens: number,
): number {
  if (json !== undefined) return Math.ceil(json.length / CHARS_PER_TOKEN);
  const natural = ignoreEos ? most + 1 : naturalLength(salt, meanTokens);
  return Math.max(natural, minTokens);
}

/** Half to one and a half times the mean, by the salt. */
function naturalLength(salt: number, meanTokens: number): number {
  const draw = ((Math.imul(salt, 0x9e3779b1) >>> 8) & 0xffff) / 0xffff;
  return Math.max(1, Math.round(meanTokens * (0.5 + draw)));
}

function findStop(
  output: Output,
  chars: number,
  { stops, minTokens }: Generation,
): { start: number; end: number } | undefined {
  if (stops.length === 0) return undefined;
  const text = outputText(output, 0, chars);
  let best: { start: number; end: number } | undefined;
  for (const stop of stops) {
    const start = text.indexOf(stop, minTokens * CHARS_PER_TOKEN);
    if (start >= 0 && (best === undefined || start + stop.length < best.end)) {
      best = { start, end: start + stop.length };
    }
  }
  return best;
}
