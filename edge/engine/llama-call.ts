/** One HTTP request in the real engine: its jobs, and the answer in OpenAI's form. */
import type { ServerResponse } from "node:http";
import type { ApiError } from "./http.ts";
import { sendError, sendJson } from "./http.ts";
import type { LlamaPrompt } from "./llama-api.ts";
import type { Job, JobEnd, LlamaModel } from "./llama-model.ts";
import type { Generation } from "./openai-api.ts";
import { DONE_EVENT, Reply, STREAM_HEADERS, type Route } from "./reply.ts";

interface Part {
  index: number;
  /** Its prompt counts in the usage (the first choice of each prompt). */
  isFirst: boolean;
  text: string;
  end: JobEnd | undefined;
}

export class LlamaCall {
  private readonly model: LlamaModel;
  private readonly response: ServerResponse;
  private readonly generation: Generation;
  private readonly reply: Reply;
  private readonly parts: Part[] = [];
  private readonly jobs: Job[] = [];
  private isOver = false;

  constructor(model: LlamaModel, response: ServerResponse, route: Route, generation: Generation) {
    this.model = model;
    this.response = response;
    this.generation = generation;
    this.reply = new Reply(route, generation, Math.floor(Date.now() / 1000));
  }

  /** Queues one job per prompt and choice. @throws ApiError when one is refused. */
  async start(prompts: readonly LlamaPrompt[]): Promise<void> {
    const { n } = this.generation;
    const planned = prompts.flatMap((prompt) =>
      Array.from({ length: n }, (_, choice) => ({ prompt, choice })),
    );
    for (const { choice } of planned) {
      const index = this.parts.length;
      this.parts.push({ index, isFirst: choice === 0, text: "", end: undefined });
    }
    for (const [index, { prompt, choice }] of planned.entries()) {
      const params = { ...prompt.params };
      // Equal seeds would make equal choices.
      if (params.seed !== undefined && params.seed >= 0) params.seed += choice;
      const listener = this.listenerOf(this.parts[index]);
      const job = await this.model.submit(params, prompt.stops, listener, () => this.isOver);
      if (job === undefined) return;
      this.jobs.push(job);
    }
  }

  /** The client left, or all is said: frees what still runs. */
  close(): void {
    if (this.isOver) return;
    this.isOver = true;
    for (const job of this.jobs) this.model.cancel(job);
  }

  private listenerOf(part: Part): Parameters<LlamaModel["submit"]>[2] {
    return {
      onText: (text) => this.onText(part, text),
      onEnd: (end) => this.onEnd(part, end),
      onError: (error) => this.onError(error),
    };
  }

  private onText(part: Part, text: string): void {
    if (this.isOver) return;
    if (this.generation.stream) {
      const opening = part.text === "" ? this.openStream(part) : "";
      const escaped = JSON.stringify(text).slice(1, -1);
      this.response.write(opening + this.reply.event(part.index, escaped, null));
    }
    part.text += text;
  }

  private onEnd(part: Part, end: JobEnd): void {
    if (this.isOver) return;
    part.end = end;
    const isLast = this.parts.every((other) => other.end !== undefined);
    if (this.generation.stream) this.endPart(part, end, isLast);
    else if (isLast) this.sendWhole();
  }

  private openStream(part: Part): string {
    if (!this.response.headersSent) this.response.writeHead(200, STREAM_HEADERS);
    return this.reply.opening(part.index);
  }

  private endPart(part: Part, end: JobEnd, isLast: boolean): void {
    const opening = part.text === "" ? this.openStream(part) : "";
    let bytes = opening + this.reply.event(part.index, "", end.finish);
    if (!isLast) return void this.response.write(bytes);
    this.isOver = true;
    if (this.generation.includeUsage) bytes += this.reply.usageEvent(...this.usage());
    this.response.end(bytes + DONE_EVENT);
  }

  private sendWhole(): void {
    this.isOver = true;
    const choices = this.parts.map(({ index, text, end }) => {
      return { index, text, finish: end?.finish ?? "stop" };
    });
    sendJson(this.response, 200, this.reply.whole(choices, ...this.usage()));
  }

  private usage(): [prompt: number, completion: number, cached: number] {
    let [prompt, completion, cached] = [0, 0, 0];
    for (const { end, isFirst } of this.parts) {
      completion += end?.outputTokens ?? 0;
      if (!isFirst) continue;
      prompt += end?.promptTokens ?? 0;
      cached += end?.cachedTokens ?? 0;
    }
    return [prompt, completion, cached];
  }

  /** Before the first byte an error answer; after it an error event and no [DONE]. */
  private onError(error: ApiError): void {
    if (this.isOver) return;
    this.close();
    if (this.response.headersSent) this.response.end(`data: ${error.body}\n\n`);
    else sendError(this.response, error);
  }
}
