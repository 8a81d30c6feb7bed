/**
 * `response.steer`: what the user says while an answer runs. It is queued at the response and
 * becomes the input of a successor that starts by itself when the response ends. Where the
 * response ends in calls of tools, it waits for the request that brings their results.
 */
import { type Fields, isFields } from "../task/body-fields.ts";
import { itemsOf } from "./response-turn.ts";

export interface Steer {
  id: string;
  previousId: string;
  /** As it came. */
  input: unknown;
  items: unknown[];
}

/** Steers that one response may have waiting. */
const STEERS_MAX = 16;
/** Responses of one socket whose steers wait for results of tools. */
const PENDING_MAX = 64;
const PARTS = ["input_text", "input_image", "input_file"];

interface Active {
  lane: string | undefined;
  steers: Steer[];
}

export class Steering {
  private readonly emit: (lane: string | undefined, event: Fields) => void;
  private readonly active = new Map<string, Active>();
  private readonly pending = new Map<string, Active>();
  private steers = 0;
  private events = 0;

  constructor(emit: (lane: string | undefined, event: Fields) => void) {
    this.emit = emit;
  }

  begun(id: string, lane: string | undefined): void {
    this.active.set(id, { lane, steers: [] });
  }

  /** @param holds true for a response that has ended and is known */
  steer(event: Fields, holds: (id: string) => boolean): void {
    const { previous_response_id: previous, input } = event;
    const previousId = typeof previous === "string" ? previous : "";
    const target = this.active.get(previousId);
    const fail = (code: string, message: string): void =>
      this.failed(target?.lane, { previousId, input }, code, message);
    const problem = problemOf(event);
    if (problem !== undefined) return fail("invalid_input", problem);
    if (target === undefined) {
      return holds(previousId)
        ? fail("response_already_completed", "The response has ended: continue it instead.")
        : fail("response_not_found", "No response of that id runs on this socket.");
    }
    if (target.steers.length >= STEERS_MAX) {
      return fail("too_many_pending_steers", `A response may have ${STEERS_MAX} steers waiting.`);
    }
    const steer = { id: `steer_${this.steers++}`, previousId, input, items: itemsOf(input) };
    target.steers.push(steer);
    this.say(target.lane, "accepted", { steer: named(steer) });
  }

  /** The steers that a successor is to begin with now. */
  ended(response: Fields, lane: string | undefined): Steer[] {
    const id = String(response.id);
    const target = this.active.get(id);
    this.active.delete(id);
    if (target === undefined || target.steers.length === 0) return [];
    const required = callsOf(response);
    if (required.length === 0) return target.steers;
    this.pending.set(id, target);
    const reason = "waiting_for_required_input";
    for (const steer of target.steers) {
      this.say(lane, "pending", { steer: named(steer), reason, required_input: required });
    }
    this.forgetOldest();
    return [];
  }

  /** The steers that wait for a request which continues that response. */
  claim(previous: unknown): Steer[] {
    const waiting = typeof previous === "string" ? this.pending.get(previous) : undefined;
    if (waiting === undefined) return [];
    this.pending.delete(previous as string);
    return waiting.steers;
  }

  /** What they were to begin never was: their input goes back. */
  refused(steers: readonly Steer[], lane: string | undefined): void {
    const message = "The successor of the response could not be created.";
    for (const steer of steers) this.failed(lane, steer, "successor_creation_failed", message);
    // Those of a response that broke have nothing to continue.
    for (const [id, { lane: own, steers: lost }] of this.active) {
      if (own !== lane) continue;
      this.active.delete(id);
      for (const steer of lost) this.failed(lane, steer, "response_not_active", message);
    }
  }

  private forgetOldest(): void {
    if (this.pending.size <= PENDING_MAX) return;
    const [id, { lane, steers }] = [...this.pending][0];
    this.pending.delete(id);
    const message = "Too many responses wait for results of tools.";
    for (const steer of steers) this.failed(lane, steer, "too_many_pending_steers", message);
  }

  private failed(
    lane: string | undefined,
    steer: { id?: string; previousId: string; input: unknown },
    code: string,
    message: string,
  ): void {
    const error = { type: "invalid_request_error", code, message };
    const told = { ...named(steer), input: steer.input ?? null };
    this.say(lane, "failed", { error, steer: told });
  }

  private say(lane: string | undefined, what: string, fields: Fields): void {
    const sequence_number = this.events++;
    this.emit(lane, { type: `response.steer.${what}`, sequence_number, ...fields });
  }
}

function named({ id, previousId }: { id?: string; previousId: string }): Fields {
  const target = { previous_response_id: previousId };
  return id === undefined ? target : { id, ...target };
}

/** Only messages of the user steer. */
function problemOf({
  type: _type,
  previous_response_id,
  input,
  ...more
}: Fields): string | undefined {
  const other = Object.keys(more)[0];
  if (other !== undefined) return `'${other.slice(0, 64)}' is not for response.steer.`;
  if (typeof previous_response_id !== "string") return "'previous_response_id' must be a string.";
  if (typeof input === "string") return undefined;
  if (!Array.isArray(input) || input.length === 0) {
    return "'input' must be a string or an array of user messages.";
  }
  const at = input.findIndex((item) => !isUserMessage(item));
  return at < 0 ? undefined : `'input[${at}]' must be a message of role user.`;
}

function isUserMessage(item: unknown): boolean {
  if (!isFields(item) || item.role !== "user" || (item.type ?? "message") !== "message")
    return false;
  const { content } = item;
  if (typeof content === "string") return true;
  return (
    Array.isArray(content) &&
    content.every((part) => isFields(part) && PARTS.includes(String(part.type)))
  );
}

function callsOf({ output }: Fields): Fields[] {
  if (!Array.isArray(output)) return [];
  return output.flatMap((item) => {
    if (!isFields(item) || item.type !== "function_call") return [];
    const { call_id, name } = item;
    return [{ type: "function_call_output", call_id, name }];
  });
}
