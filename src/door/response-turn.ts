/**
 * One request of the Responses API on its way: what it refers to (an earlier response, items of
 * one, a compaction of ours) is put in its place before anything behind the door sees the body, and
 * the response is held on the way back, so that the next request may continue it.
 */
import { GridError } from "../grid/errors.ts";
import { conversationOf, type HeldResponse, type ResponseStore } from "../state/response-store.ts";
import { type Fields, isFields } from "../task/body-fields.ts";
import { previousNotFound } from "../task/dialects/responses-to-request.ts";
import { unsealed } from "./compaction.ts";
import { type HeldAbroad, markedId } from "./held-abroad.ts";

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** What a body must hold to refer to anything; most hold none of it. */
const REFERENCES = ['"previous_response_id"', '"item_reference"', '"compaction"'];

/** Events that hold the response, the last three as it ended. */
const ENDED = ["response.completed", "response.incomplete", "response.failed"];
const HOLDERS = ["response.created", "response.in_progress", "response.queued", ...ENDED];

export interface TurnScopes {
  /** Where a response is held that the caller wants stored. */
  tenant: string;
  /** Where one is held that it does not: the memory of its connection. */
  connection?: string | undefined;
  /** What other PoPs hold; undefined = there are none, and ids stay the engine's. */
  abroad?: HeldAbroad | undefined;
}

export class ResponseTurn {
  /** The response that is continued; its id as the caller gave it. */
  previousId: string | undefined;
  /** How it ended; undefined while it runs, or when it was refused. */
  status: string | undefined;
  /** Number of the next event. */
  sequence = 0;
  private readonly store: ResponseStore;
  private readonly scopes: TurnScopes;
  private previous: HeldResponse | undefined;
  private body: Uint8Array | undefined;
  /** Items that the request adds, once they had to be looked at. */
  private items: unknown[] | undefined;
  private stored: boolean | undefined;

  constructor(store: ResponseStore, scopes: TurnScopes) {
    this.store = store;
    this.scopes = scopes;
  }

  /**
   * The body for everything behind the door.
   * @throws GridError previous_response_not_found, invalid_request, payload_too_large
   */
  async prepare(bytes: Uint8Array, limitBytes: number): Promise<Uint8Array> {
    this.body = bytes;
    const text = decoder.decode(bytes);
    if (!REFERENCES.some((word) => text.includes(word))) return bytes;
    const fields = parsed(text);
    // What is no JSON is refused by whoever parses it, with the place of the fault.
    if (fields === undefined) return bytes;
    const { previous_response_id: before, input, ...rest } = fields;
    if (typeof before === "string") await this.follow(before);
    else if (before !== undefined && before !== null) return bytes;
    this.stored = fields.store !== false;
    const given = itemsOf(input);
    this.items = given.map((item) => this.resolved(item));
    // Words alike in a text: the body stays what it was.
    if (this.previous === undefined && this.items.every((item, n) => item === given[n])) {
      return bytes;
    }
    const own = this.items.map((item) => JSON.stringify(item));
    const items = [conversationOf(this.previous), ...own].filter((one) => one !== "");
    const others = JSON.stringify(rest);
    const end = others === "{}" ? "}" : `,${others.slice(1)}`;
    const whole = encoder.encode(`{"input":[${items.join(",")}]${end}`);
    if (whole.byteLength > limitBytes) throw tooLong(limitBytes);
    return whole;
  }

  /** Everything of an event but its frame; undefined: it stays as it is. */
  event(name: string, data: string): Fields | undefined {
    const number = this.sequence++;
    if (name === "error") {
      const error = parsed(data);
      return error === undefined ? undefined : { ...error, sequence_number: number };
    }
    if (!HOLDERS.includes(name)) return undefined;
    const event = parsed(data);
    if (event === undefined || !isFields(event.response)) return undefined;
    const changed = this.touch(event.response);
    if (ENDED.includes(name)) this.keep(event.response);
    return changed ? event : undefined;
  }

  /** A plain answer, as the caller is to see it. */
  answer(bytes: Uint8Array): Uint8Array {
    const response = parsed(decoder.decode(bytes));
    if (response === undefined || !Array.isArray(response.output)) return bytes;
    const changed = this.touch(response);
    this.keep(response);
    return changed ? encoder.encode(JSON.stringify(response)) : bytes;
  }

  /** Holds a response that came to a good end; the first end counts. */
  keep(response: Fields): void {
    if (this.status !== undefined) return;
    this.status = typeof response.status === "string" ? response.status : "failed";
    const scope = this.wantsStore() ? this.scopes.tenant : this.scopes.connection;
    const { id } = response;
    if (this.status === "failed" || typeof id !== "string" || scope === undefined) return;
    const output = Array.isArray(response.output) ? response.output : [];
    this.store.put(scope, {
      id,
      previous: this.previous,
      input: listText(this.ownItems()),
      output: listText(output),
      response: JSON.stringify(response),
      itemIds: output.map((item) => String(isFields(item) ? item.id : "")),
    });
  }

  /** A continuation that failed takes what it built on out of the connection's memory. */
  failed(): void {
    const { connection } = this.scopes;
    if (connection === undefined || this.previousId === undefined) return;
    this.store.drop(connection, this.previousId);
  }

  private async follow(id: string): Promise<void> {
    this.previousId = id;
    const { tenant, abroad } = this.scopes;
    this.previous =
      this.find((scope) => this.store.get(scope, id)) ?? (await abroad?.get(tenant, id));
    if (this.previous === undefined) throw previousNotFound(id);
  }

  /** Names the response as the caller is to know it; false: it is so already. */
  private touch(response: Fields): boolean {
    const { id } = response;
    const { abroad } = this.scopes;
    const marks = abroad !== undefined && typeof id === "string" && this.wantsStore();
    if (marks) response.id = markedId(id, abroad.pop);
    if (this.previousId !== undefined) response.previous_response_id = this.previousId;
    return marks || this.previousId !== undefined;
  }

  private find<T>(look: (scope: string) => T | undefined): T | undefined {
    const { tenant, connection } = this.scopes;
    return (connection === undefined ? undefined : look(connection)) ?? look(tenant);
  }

  private resolved(item: unknown): unknown {
    if (!isFields(item)) return item;
    if (item.type === "compaction") return unsealed(item) ?? item;
    if (item.type !== "item_reference" || typeof item.id !== "string") return item;
    const { id } = item;
    const found = this.find((scope) => this.store.item(scope, id));
    // One that is not held here may be the vendor's own: it goes on as it is.
    return found === undefined ? item : JSON.parse(found);
  }

  private wantsStore(): boolean {
    if (this.stored === undefined) {
      const text = decoder.decode(this.body);
      this.stored = !text.includes('"store"') || parsed(text)?.store !== false;
    }
    return this.stored;
  }

  private ownItems(): unknown[] {
    this.items ??= itemsOf(parsed(decoder.decode(this.body))?.input);
    return this.items;
  }
}

function listText(items: readonly unknown[]): string {
  return JSON.stringify(items).slice(1, -1);
}

/** A text is one message of the user. */
export function itemsOf(input: unknown): unknown[] {
  if (typeof input === "string") return [{ type: "message", role: "user", content: input }];
  return Array.isArray(input) ? input : [];
}

export function parsed(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function tooLong(limitBytes: number): GridError {
  const message =
    `The conversation that this request continues is longer than ${limitBytes} bytes. Start a ` +
    "new one, or compact it with POST /v1/responses/compact.";
  return new GridError("payload_too_large", message, { param: "previous_response_id" });
}
