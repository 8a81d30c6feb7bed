/**
 * Model aliases: one name for a chain of models, the first choice first. A request for an alias
 * goes to the first model of the chain that can start now, else waits for the first that has an
 * endpoint at all; a model whose endpoints failed is left behind. Part of `pop.ts`.
 */
import type { Decision } from "./grid/decision.ts";
import type { GridError } from "./grid/errors.ts";
import type { Row, Tokens } from "./grid/units.ts";
import { measureTask } from "./pop-read.ts";
import type { PopParts } from "./pop-stages.ts";
import { REQUEST_DIALECTS } from "./task/dialects/table.ts";
import { DOORS } from "./task/route.ts";
import type { Task } from "./task/task.ts";

/** What is no reason to try another model: it would fail there too, or it is too late. */
const FINAL = ["internal", "total_timeout", "draining", "client_gone"];

export interface AliasHost {
  decide(task: Task, tried: readonly Row[]): Decision;
  canStart(row: Row, tokens: Tokens): boolean;
}

export class Aliases {
  private readonly parts: PopParts;
  private readonly host: AliasHost;

  constructor(parts: PopParts, host: AliasHost) {
    this.parts = parts;
    this.host = host;
  }

  /** Models of an alias that somebody serves, in order; empty = no alias, or none served. */
  servedBy(name: string): string[] {
    const chain = this.chainOf(name);
    if (chain.length === 0) return [];
    const { models } = this.parts.roster;
    return chain.filter((model) => models.has(model));
  }

  /** Aliases that can be asked for now. */
  names(): string[] {
    const { aliases } = this.parts.config.models;
    return Object.keys(aliases).filter((name) => this.servedBy(name).length > 0);
  }

  private chainOf(name: string): readonly string[] {
    const { aliases } = this.parts.config.models;
    return Object.hasOwn(aliases, name) ? aliases[name] : [];
  }

  /** An admitted task that asks for an alias: from here on it is for one of the chain's models. */
  enter(task: Task): void {
    const chain = this.servedBy(task.model);
    if (chain.length === 0) return;
    task.models = chain;
    this.target(task, chain[0]);
  }

  /** Chooses the model for the next attempt. */
  pick(task: Task, tried: readonly Row[]): void {
    const { models } = task;
    if (models === undefined) return;
    let first: string | undefined;
    for (const model of models) {
      this.target(task, model);
      const { row, uncachedTokens } = this.host.decide(task, tried);
      if (row >= 0 && this.host.canStart(row, uncachedTokens)) return;
      if (row >= 0) first ??= model;
    }
    this.target(task, first ?? models[0]);
  }

  /** The task's model failed with `error`; true: another of the chain is to be tried. */
  leaves(task: Task, error: GridError): boolean {
    if (task.models === undefined || error.source === "client" || FINAL.includes(error.code)) {
      return false;
    }
    task.models = task.models.filter((model) => model !== task.model);
    return task.models.length > 0;
  }

  private target(task: Task, model: string): void {
    if (task.model === model) return;
    const { dialect } = DOORS[task.route];
    const { body, path } = REQUEST_DIALECTS[dialect].withModel(task, model);
    Object.assign(task, { model, body, path });
    measureTask(this.parts, task);
  }
}
