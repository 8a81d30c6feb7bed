/**
 * Counting the tokens of a prompt. An endpoint that counts by itself is asked; where the model has
 * none, the PoP answers with its estimate, from bytes and the bytes per token that it has learned
 * of the model, and says in `x-grid-route` that it is one. Part of `pop.ts`.
 */
import { replyJson } from "./door/reply.ts";
import { COUNT_FORMS } from "./door/count-forms.ts";
import { nameRequest } from "./door/error-forms.ts";
import type { Dialect } from "./grid/dialect.ts";
import { CAPABILITY } from "./grid/endpoint.ts";
import type { Exchange } from "./grid/exchange.ts";
import type { PopParts } from "./pop-stages.ts";
import { DOORS } from "./task/route.ts";
import type { Task } from "./task/task.ts";

/** What an endpoint must be able to do for a caller of each dialect; chat has no such door. */
const COUNTS: Readonly<Record<Dialect, number>> = {
  chat: 0,
  messages: CAPABILITY.count,
  gemini: CAPABILITY.countGemini,
  responses: 0,
};

/** True: it was a count, and is answered. */
export function countHere({ config, roster, table }: PopParts, task: Task, to: Exchange): boolean {
  const { dialect, operation } = DOORS[task.route];
  if (operation !== "count") return false;
  const { capabilities, down } = table.columns;
  const ability = COUNTS[dialect];
  for (const row of roster.models.rowsOf(task.model)) {
    if ((capabilities[row] & ability) === 0 || down[row] !== 0) continue;
    task.needs |= ability;
    return false;
  }
  const headers = { "x-grid-route": `pop=${config.pop.id};reason=estimate` };
  const form = COUNT_FORMS[dialect];
  const tokens = Math.max(Math.round(task.promptTokens), 1);
  replyJson(to, 200, form(tokens), nameRequest(dialect, headers, task.id));
  return true;
}
