/**
 * One publisher of KV events, followed: the subscription, a connection of its own for each replay
 * (so that answers of an older one cannot be mixed in), the order of events, and the table that
 * they fill. A batch that cannot be read is a loss like any other: the table is no longer whole.
 */
import type { Millis, Row } from "../grid/units.ts";
import type { BlockTable } from "./block-table.ts";
import { decodeBatch, type KvEvent } from "./events.ts";
import { KvFeed, type ResetWhy } from "./feed.ts";
import { type LinkEffects, type ZmtpAddress, ZmtpLink } from "./link.ts";

export interface SourceAddress {
  events: ZmtpAddress;
  replay: ZmtpAddress | undefined;
  /** ASCII. */
  topic: string;
}

export interface SourceListener {
  onReset(row: Row, why: ResetWhy): void;
  /** Connected, lost, unreadable: for the log. */
  onNews(row: Row, event: string, detail: string): void;
}

/** How far a publisher's word can be taken. */
export type Trust =
  | "connecting" // nothing comes
  | "syncing" // a replay runs
  | "partial" // events come in order, but what came before them is not known
  | "whole"; // every event since the publisher's start, or since it cleared everything

const NO_BYTES = new Uint8Array(0);
/** Weight of one batch in the mean of removals. */
const LEARN = 0.02;
/**
 * Lost removals leave blocks that are believed and gone; forgetting all makes every block held and
 * not believed. Each is put right by the next answer that meets it. So what is known is kept while
 * the removals expected in the gap are fewer than this share of it.
 */
const KEEP_SHARE = 0.5;
const CONTRADICTIONS_MAX = 3;

export class KvSource {
  readonly row: Row;
  readonly table: BlockTable;
  readonly feed: KvFeed;
  badBatches = 0;
  badEvents = 0;
  private readonly address: SourceAddress;
  private readonly effects: LinkEffects;
  private readonly listener: SourceListener;
  private readonly link: ZmtpLink;
  private replay: ZmtpLink | undefined;
  private lastLoss = "";
  private contradictions = 0;
  /** Blocks removed per batch, on average. */
  private removals = 0;

  constructor(
    row: Row,
    address: SourceAddress,
    table: BlockTable,
    effects: LinkEffects,
    listener: SourceListener,
  ) {
    this.row = row;
    this.address = address;
    this.table = table;
    this.effects = effects;
    this.listener = listener;
    this.feed = new KvFeed({
      apply: (payload) => this.apply(payload),
      reset: (why) => this.reset(why),
      survives: (missed) => this.survives(missed),
      askReplay: (from) => this.askReplay(from),
    });
    this.link = new ZmtpLink(
      address.events,
      "SUB",
      effects,
      {
        onReady: (link) => this.subscribed(link),
        onMessage: (frames) => this.feed.live(frames, effects.clock()),
        onLost: (why) => this.lost(why),
      },
      true,
    );
  }

  get trust(): Trust {
    if (!this.feed.isConnected) return "connecting";
    if (this.feed.isSyncing) return "syncing";
    return this.feed.isWhole ? "whole" : "partial";
  }

  /** Events come: what the table says is taken away again when it is no longer so. */
  get isLive(): boolean {
    return this.feed.isConnected && this.feed.lastEventMs !== undefined;
  }

  /**
   * An answer showed blocks that no event told of. Once or twice an event was just on its way;
   * after that the publisher began later than its engine.
   */
  contradicted(): void {
    if (++this.contradictions >= CONTRADICTIONS_MAX) this.feed.isWhole = false;
  }

  tick(nowMs: Millis): void {
    this.link.tick(nowMs);
    this.replay?.tick(nowMs);
    this.feed.tick(nowMs);
  }

  close(): void {
    this.link.close();
    this.replay?.close();
  }

  private subscribed(link: ZmtpLink): void {
    link.subscribe(Uint8Array.from(this.address.topic, (letter) => letter.charCodeAt(0)));
    this.lastLoss = "";
    this.listener.onNews(this.row, "KV events connected", "");
    this.feed.connected(this.effects.clock());
  }

  private lost(why: string): void {
    this.feed.disconnected();
    // The same failure again and again is one piece of news.
    if (why !== this.lastLoss) this.listener.onNews(this.row, "KV events lost", why);
    this.lastLoss = why;
  }

  private askReplay(from: number): boolean {
    const { replay: address } = this.address;
    if (address === undefined) return false;
    this.replay?.close();
    const { clock } = this.effects;
    const asked = new Uint8Array(8);
    new DataView(asked.buffer).setBigInt64(0, BigInt(from));
    const handler = {
      // To the ROUTER we look like a REQ: an empty frame stands before the request.
      onReady: (link: ZmtpLink) => link.send([NO_BYTES, asked]),
      onMessage: (frames: Uint8Array[]) => this.feed.replayedMessage(frames, clock()),
      onLost: () => this.feed.replayFailed(clock()),
    };
    this.replay = new ZmtpLink(address, "DEALER", this.effects, handler, false);
    return true;
  }

  private reset(why: ResetWhy): void {
    this.contradictions = 0;
    this.table.clear(why === "restart");
    this.listener.onReset(this.row, why);
  }

  private survives(missed: number): boolean {
    return missed * this.removals < this.table.blocks * KEEP_SHARE;
  }

  private apply(payload: Uint8Array): boolean {
    let events: KvEvent[] = [];
    try {
      const batch = decodeBatch(payload);
      events = batch.events;
      this.badEvents += batch.bad;
      if (batch.bad > 0) this.feed.isWhole = false;
    } catch {
      this.badBatches++;
      this.feed.isWhole = false;
    }
    let cleared = false;
    let removed = 0;
    for (const event of events) {
      if (event.kind === "stored") this.table.stored(event);
      else if (event.kind === "removed") {
        this.table.removed(event);
        removed += event.hashes.length / 2;
      } else {
        this.table.clear(true);
        cleared = true;
      }
    }
    this.removals += LEARN * (removed - this.removals);
    return cleared;
  }
}
