/**
 * A WebSocket of the Realtime API, for text: a session with its settings, a conversation that is
 * kept here for as long as the socket lives, and one answer at a time, which the house serves like
 * a request of the Responses API.
 */
import { GridError } from "../grid/errors.ts";
import type { Headers } from "../grid/exchange.ts";
import type { DoorSocket } from "../grid/socket.ts";
import type { Caller } from "../proxy.ts";
import {
  type Fields,
  fieldsIn,
  invalid,
  isFields,
  kindOf,
  stringField,
} from "../task/body-fields.ts";
import type { House } from "./app.ts";
import { type Asked, RealtimeOutput } from "./realtime-output.ts";
import { openAiErrorBody } from "./rescue.ts";
import { ResponseTurn } from "./response-turn.ts";
import { fieldsOf, Outbox, SocketSession, unknownEvent } from "./socket-session.ts";
import { SocketTurn, turnHeaders } from "./socket-turn.ts";

const KNOWN = [
  "session.update",
  "conversation.item.create",
  "conversation.item.retrieve",
  "conversation.item.delete",
  "response.create",
  "response.cancel",
];
/** Settings that a client may change, and that a response may have of its own. */
const SETTINGS = ["instructions", "tools", "tool_choice", "max_output_tokens", "output_modalities"];
const OF_SESSION = ["type", ...SETTINGS, "model", "tracing", "truncation", "prompt", "include"];
const OF_RESPONSE = [...SETTINGS, "conversation", "input", "metadata"];
const ITEMS = ["message", "function_call", "function_call_output"];
const ITEMS_MAX = 4_096;
const ID_MAX = 128;
const encoder = new TextEncoder();

interface Item {
  id: string;
  item: Fields;
  bytes: number;
}

interface Running {
  exchange: SocketTurn;
  output: RealtimeOutput;
}

export class RealtimeSession extends SocketSession {
  readonly door = "realtime";
  private readonly house: House;
  private readonly headers: Headers;
  private readonly box = new Outbox(this);
  private readonly items: Item[] = [];
  private bytes = 0;
  private settings: Fields;
  private running: Running | undefined;
  private events = 0;
  private ids = 0;

  constructor(house: House, socket: DoorSocket, caller: Caller, headers: Headers, model: string) {
    super(house.sockets, socket, caller, headers);
    this.house = house;
    this.headers = { "x-grid-session": this.id, ...turnHeaders(headers) };
    this.settings = {
      ...{ model, output_modalities: ["text"], instructions: "", tools: [], tool_choice: "auto" },
      ...{
        max_output_tokens: "inf",
        tracing: null,
        truncation: "auto",
        prompt: null,
        include: null,
      },
    };
  }

  /** The first word is the server's. */
  greet(): void {
    this.say("session.created", { session: this.shown() });
  }

  protected get busy(): boolean {
    return this.running !== undefined;
  }

  protected message(event: Fields): void {
    switch (event.type) {
      case "session.update":
        return this.update(event);
      case "conversation.item.create":
        return this.create(event);
      case "conversation.item.retrieve":
        return this.say("conversation.item.retrieved", { item: this.find(event).item });
      case "conversation.item.delete":
        return this.remove(this.find(event));
      case "response.create":
        return this.respond(event);
      case "response.cancel":
        return this.cancel(event);
      default:
        throw unknownEvent(event, KNOWN);
    }
  }

  protected tell(error: GridError, event: Fields | undefined): void {
    this.refuse(openAiErrorBody(error).error as unknown as Fields, event);
  }

  protected gone(): void {
    this.running?.exchange.leave();
    this.items.length = 0;
  }

  private refuse(error: Fields, event: Fields | undefined): void {
    const { message, type, code, param } = error;
    const event_id = event?.event_id ?? null;
    this.say("error", { error: { type, code, message, param, event_id } });
  }

  private say(type: string, fields: Fields): void {
    this.box.push(this.frame({ type, ...fields }));
  }

  private frame(event: Fields): string {
    return JSON.stringify({ event_id: `event_${this.id}_${this.events++}`, ...event });
  }

  private shown(): Fields {
    return {
      type: "realtime",
      object: "realtime.session",
      id: `sess_${this.id}`,
      ...this.settings,
    };
  }

  private update(event: Fields): void {
    const session = fieldsIn(event.session, "session") ?? {};
    const changes = settingsIn(session, OF_SESSION, "session");
    const { type, model, ...rest } = changes;
    if (type !== undefined && type !== "realtime")
      throw invalid("session.type", "must be realtime");
    if (model !== undefined && model !== this.settings.model) {
      throw invalid("session.model", "cannot be changed: open another socket for another model");
    }
    this.settings = { ...this.settings, ...rest };
    this.say("session.updated", { session: this.shown() });
  }

  private create(event: Fields): void {
    const item = itemIn(event.item, "item");
    const id = stringField(item.id, "item.id", ID_MAX) ?? `item_${this.id}_${this.ids++}`;
    if (this.items.some((one) => one.id === id)) throw invalid("item.id", "is in use already");
    const place = this.placeAfter(event.previous_item_id);
    const shown = { object: "realtime.item", status: "completed", ...item, id };
    const previous_item_id = this.insert(shown, place);
    this.say("conversation.item.added", { previous_item_id, item: shown });
    this.say("conversation.item.done", { previous_item_id, item: shown });
  }

  /** Index where an item behind that one goes; `root` is before all. */
  private placeAfter(id: unknown): number {
    if (id === undefined || id === null) return this.items.length;
    if (id === "root") return 0;
    const at = this.items.findIndex((one) => one.id === id);
    if (at < 0) throw invalid("previous_item_id", "names no item of the conversation");
    return at + 1;
  }

  /** @returns id of the item before it */
  private insert(item: Fields, at: number): string | null {
    const bytes = JSON.stringify(item).length;
    if (this.items.length >= ITEMS_MAX || this.bytes + bytes > this.limits.frameBytes) {
      const message = "The conversation is full. Delete items of it, or start another session.";
      throw new GridError("payload_too_large", message, { param: "item" });
    }
    this.bytes += bytes;
    this.items.splice(at, 0, { id: String(item.id), item, bytes });
    return this.items[at - 1]?.id ?? null;
  }

  private find(event: Fields): Item {
    const found = this.items.find(({ id }) => id === event.item_id);
    if (found === undefined) throw invalid("item_id", "names no item of the conversation");
    return found;
  }

  private remove(item: Item): void {
    this.items.splice(this.items.indexOf(item), 1);
    this.bytes -= item.bytes;
    this.say("conversation.item.deleted", { item_id: item.id });
  }

  private respond(event: Fields): void {
    if (this.running !== undefined) {
      const message = "The conversation has an active response. Wait for response.done.";
      const code = "conversation_already_has_active_response";
      return this.refuse({ type: "invalid_request_error", code, message }, event);
    }
    const own = settingsIn(fieldsIn(event.response, "response") ?? {}, OF_RESPONSE, "response");
    const settings = { ...this.settings, ...own };
    const apart = own.conversation === "none";
    const most = settings.max_output_tokens;
    const body = {
      model: settings.model,
      instructions: settings.instructions === "" ? undefined : settings.instructions,
      input: this.inputOf(own.input).map(inputItem),
      tools: settings.tools,
      tool_choice: settings.tool_choice,
      max_output_tokens: typeof most === "number" ? most : undefined,
      metadata: own.metadata,
      store: false,
      stream: true,
    };
    const conversation = apart ? null : `conv_${this.id}`;
    const asked = { metadata: own.metadata, max_output_tokens: most, conversation };
    this.serve(encoder.encode(JSON.stringify(body)), asked, apart, event);
  }

  private inputOf(own: unknown): Fields[] {
    if (own === undefined || own === null) return this.items.map(({ item }) => item);
    if (!Array.isArray(own))
      throw invalid("response.input", `must be an array, not ${kindOf(own)}`);
    return own.map((item, n) => {
      const at = `response.input[${n}]`;
      if (!isFields(item) || item.type !== "item_reference") return itemIn(item, at);
      return this.find({ item_id: item.id }).item;
    });
  }

  private serve(bytes: Uint8Array, asked: Asked, apart: boolean, event: Fields): void {
    const { house, caller, box } = this;
    const turn = new ResponseTurn(house.responses, { tenant: caller.tenant });
    const output = new RealtimeOutput(
      {
        box,
        frame: (one) => this.frame(one),
        added: () => this.items.at(-1)?.id ?? null,
        done: (item) => this.keep(item, apart),
        refused: (error) => this.refuse(error, event),
        settled: () => {
          this.running = undefined;
          this.leaveWhenDone();
        },
      },
      asked,
    );
    const exchange = new SocketTurn(this.headers, bytes, turn, output);
    this.running = { exchange, output };
    void house.serve(exchange, "responses", caller);
  }

  /** What was said joins the conversation; where that is full, the client has it all the same. */
  private keep(item: Fields, apart: boolean): void {
    if (apart) return;
    try {
      this.insert(item, this.items.length);
    } catch (error) {
      this.tell(error as GridError, undefined);
    }
  }

  private cancel(event: Fields): void {
    const { running } = this;
    const wanted = event.response_id ?? running?.output.responseId;
    if (running === undefined || wanted !== running.output.responseId) {
      const code = "response_cancel_not_active";
      const message = "No such response is active.";
      return this.refuse({ type: "invalid_request_error", code, message }, event);
    }
    running.output.cancel();
    running.exchange.leave();
  }
}

/** The settings of an event, checked as far as nobody behind the door does. */
function settingsIn(given: Fields, known: readonly string[], at: string): Fields {
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue;
    const rule = name === "audio" ? "is not supported: this door speaks text" : "is not known here";
    throw invalid(`${at}.${name.slice(0, 64)}`, rule);
  }
  const { output_modalities: modes, max_output_tokens: most } = given;
  const text =
    modes === undefined || (Array.isArray(modes) && modes.every((one) => one === "text"));
  if (!text) throw invalid(`${at}.output_modalities`, 'must be ["text"]: this door speaks text');
  if (most !== undefined && most !== "inf" && !(Number.isInteger(most) && Number(most) > 0)) {
    throw invalid(`${at}.max_output_tokens`, 'must be a whole number above 0, or "inf"');
  }
  if (given.tools !== undefined && !Array.isArray(given.tools)) {
    throw invalid(`${at}.tools`, `must be an array, not ${kindOf(given.tools)}`);
  }
  return given;
}

function itemIn(item: unknown, at: string): Fields {
  if (!isFields(item)) throw invalid(at, `must be an object, not ${kindOf(item)}`);
  if (!ITEMS.includes(String(item.type))) {
    throw invalid(`${at}.type`, `must be one of ${ITEMS.join(", ")}`);
  }
  const parts = Array.isArray(item.content) ? item.content : [];
  const audio = parts.findIndex((part) => String(fieldsOf(part).type).includes("audio"));
  if (audio < 0) return item;
  throw invalid(`${at}.content[${audio}].type`, "is audio: this door speaks text");
}

/** The item as a request of the Responses API has it. */
function inputItem({ object: _object, status: _status, ...item }: Fields): Fields {
  return item;
}
