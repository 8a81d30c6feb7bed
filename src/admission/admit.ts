/**
 * May it enter? The order of the checks: draining, model known, model allowed to this key. The
 * hard filters per endpoint (region, tenant, capability, ...) are the kernel's; when they leave
 * nobody, `refuse` turns the kernel's counts into the error that names what to change.
 */
import { type Decision, EXCLUSIONS, type Exclusion } from "../grid/decision.ts";
import type { Rest } from "../grid/endpoint.ts";
import { GridError } from "../grid/errors.ts";
import type { Task } from "../task/task.ts";
import { describeExclusions } from "./queue.ts";

/** Known models named in an error, at most. */
const MODELS_NAMED = 20;

export interface Gate {
  draining: boolean;
  /** Models that some endpoint serves. */
  hasModel(model: string): boolean;
  models(): string[];
  /** Empty = the key may use every model. */
  allowedModels: readonly string[];
}

/** @throws GridError draining, model_not_found, model_not_allowed */
export function admit(task: Task, gate: Gate): void {
  if (gate.draining) {
    throw new GridError("draining", "This PoP is shutting down. Retry at another PoP.", {
      retryAfterS: 1,
    });
  }
  if (gate.allowedModels.length > 0 && !gate.allowedModels.includes(task.model)) {
    throw new GridError(
      "model_not_allowed",
      `This API key may not use model '${task.model}'. Allowed: ${gate.allowedModels.join(", ")}.`,
      { param: "model" },
    );
  }
  if (!gate.hasModel(task.model)) {
    throw new GridError(
      "model_not_found",
      `The model '${task.model}' is not served here. ${nameModels(gate.models())}`,
      { param: "model" },
    );
  }
}

function nameModels(models: string[]): string {
  if (models.length === 0) return "No endpoint has reported a model yet.";
  const shown = models.slice(0, MODELS_NAMED).join(", ");
  const more = models.length > MODELS_NAMED ? ` and ${models.length - MODELS_NAMED} more` : "";
  return `Known models: ${shown}${more}. See GET /v1/models.`;
}

/** What the caller or operator can change, by the rule that excluded. */
const ADVICE: Partial<Record<Exclusion, string>> = {
  capability: "no endpoint of this model offers what the body asks for (route, tools, images, ...)",
  region: "no endpoint of this model stands in the regions allowed by x-grid-region",
  tenant: "the endpoints of this model are not offered to this tenant",
  tier: "the tier ceiling excludes the endpoints of this model",
  down: "the endpoints of this model are down, at rest after failures, or not probed yet",
  admission: "the endpoints of this model are draining",
  stale: "there is no fresh knowledge of the endpoints of this model",
  context: "the prompt and max_tokens do not fit the context window of any endpoint",
  tried: "every endpoint of this model failed for this request",
  saturated: "the endpoints of this model are at their in-flight cap",
  cost: "every endpoint of this model costs more than x-grid-max-cost",
};

/**
 * The error for a decision that found nobody. `model` counts are of other models: no news. What was
 * tried before is told by how it failed; a rate limit stays one, for the SDKs that wait it out,
 * also while an endpoint rests because of it.
 *
 * @param rest of the model's endpoint that is back first
 */
export function refuse(
  task: Task,
  decision: Decision,
  retryAfterS: number,
  rest?: Rest | undefined,
): GridError {
  const excluded = decision.excluded;
  const reasons = EXCLUSIONS.filter((reason, code) => {
    return reason !== "eligible" && reason !== "model" && (excluded[code] as number) > 0;
  });
  if (reasons.length === 1 && reasons[0] === "context") {
    return new GridError(
      "context_length_exceeded",
      `The prompt (about ${Math.round(task.promptTokens)} tokens) and the requested output do ` +
        `not fit the context window of any endpoint of '${task.model}'. Shorten the prompt or ` +
        "lower max_tokens.",
      { param: task.route === "chat" ? "messages" : "prompt" },
    );
  }
  const advice = reasons.map((reason) => ADVICE[reason]).join("; ");
  const isDown = reasons.includes("down");
  const { failure } = task;
  const waits = failure ?? (isDown && rest ? waitOut(rest) : undefined);
  const last = failure ? ` The last attempt failed: ${failure.message}` : (waits?.message ?? "");
  return new GridError(
    "no_endpoint",
    `No endpoint can take this request for '${task.model}': ${advice || "none serves it"} ` +
      `(excluded: ${describeExclusions(excluded) || "none"}).${last}`,
    {
      retryAfterS: Math.max(retryAfterS, waits?.retryAfterS ?? 0),
      status: waits?.status === 429 ? 429 : undefined,
    },
  );
}

/** What an endpoint told another request counts for this one. */
function waitOut({ limited, leftMs }: Rest): Pick<GridError, "message" | "status" | "retryAfterS"> {
  const retryAfterS = leftMs / 1_000;
  const why = limited ? "at its rate limit" : "busy";
  const message = ` One said that it is ${why} for another ${Math.ceil(retryAfterS)} s.`;
  return { message, retryAfterS, status: limited ? 429 : 503 };
}
