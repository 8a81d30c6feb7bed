/**
 * Cards and loads as bytes. A card is cold state: one positional record in pages of cold values,
 * each of which names its PoP, revision and claimed capacity, so that it can be refused before it
 * is stored. A load is hot: about eight bytes per endpoint, in the order of the card it names.
 *
 *     page      [ version, pop, revision, page, pages, capacity, bytes ]         key "card/<page>"
 *     card      [ url, tier, region, zone, chunk bytes, draining, [text ...], [endpoint ...] ]
 *     endpoint  [ id, tier, region, [model ...], capabilities, context | nil, [tenant ...],
 *                 admission, price in, price cached, price out, max in flight, replicas ]
 *               region, model and tenant are numbers of texts
 *     load      [ revision mod 2^16, classes, tokens of each class set in it ...,
 *                 { queued tokens | 2 x in flight + up | kv 0..127 | rate code | itl code } ... ]
 *
 * Items beyond those known are skipped, so that a later version may add to the end.
 */
import { Reader, SchemaError, Writer } from "../gossip/codec.ts";
import { ADMISSION_STATES, TIERS } from "../grid/endpoint.ts";
import type { EndpointCard, EndpointLoad, PopCard, PopLoad } from "../grid/fleet.ts";
import { QUEUE_CLASSES } from "../grid/fleet.ts";

const VERSION = 1;
const PAGE_BYTES = 7_680;
/** Two pages fit a PoP's cold state of 16 KiB. */
export const MAX_PAGES = 2;
export const MAX_ENDPOINTS = 64;
const MAX_ITEMS = 1_024;
const COUNT_MAX = 0x7fffffff;

export interface CardPage {
  pop: string;
  revision: number;
  page: number;
  pages: number;
  /** Requests at once that the whole card claims to take. */
  capacity: number;
  bytes: Uint8Array;
}

export const pageKey = (page: number): string => `card/${page}`;

/** Undefined: a key of something else. */
export function pageOf(key: string): number | undefined {
  const found = /^card\/([01])$/.exec(key);
  return found === null ? undefined : Number(found[1]);
}

export const capacityOf = (card: PopCard): number =>
  card.endpoints.reduce((sum, { maxInFlight }) => sum + whole(maxInFlight), 0);

/** The pages of a card; undefined when it needs more than `MAX_PAGES`. */
export function writeCard(card: PopCard): Uint8Array[] | undefined {
  const bytes = cardBytes(card);
  const pages = Math.ceil(bytes.length / PAGE_BYTES);
  if (pages > MAX_PAGES || card.endpoints.length > MAX_ENDPOINTS) return undefined;
  return Array.from({ length: pages }, (_, page) =>
    new Writer()
      .array(7)
      .int(VERSION)
      .str(card.id)
      .int(card.revision)
      .int(page)
      .int(pages)
      .int(capacityOf(card))
      .bin(bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES))
      .bytes(),
  );
}

/** @throws SchemaError */
export function readPage(value: Uint8Array): CardPage {
  const reader = new Reader(value);
  const items = reader.array(7, MAX_ITEMS);
  reader.int(VERSION, VERSION);
  const page = {
    pop: reader.str(1, 64),
    revision: reader.int(),
    page: reader.int(0, MAX_PAGES - 1),
    pages: reader.int(1, MAX_PAGES),
    capacity: reader.int(),
    bytes: reader.bin(1, PAGE_BYTES),
  };
  skip(reader, items - 7);
  reader.end();
  return page;
}

/** The card when all pages of one revision are there. @throws SchemaError when they are broken. */
export function readCard(values: readonly (Uint8Array | undefined)[]): PopCard | undefined {
  if (values[0] === undefined) return undefined;
  const first = readPage(values[0]);
  const pages = [first];
  for (let at = 1; at < first.pages; at++) {
    const value = values[at];
    const page = value === undefined ? undefined : readPage(value);
    if (page?.revision !== first.revision) return undefined;
    pages.push(page);
  }
  const bytes = new Uint8Array(pages.reduce((sum, page) => sum + page.bytes.length, 0));
  let at = 0;
  for (const page of pages) {
    bytes.set(page.bytes, at);
    at += page.bytes.length;
  }
  const card = readCardBytes(first, new Reader(bytes));
  if (capacityOf(card) > first.capacity) throw new SchemaError("card claims more than its pages");
  return card;
}

/** A whole number that every reader takes. */
const whole = (x: number): number => (x > 0 ? Math.min(Math.floor(x), COUNT_MAX) : 0);

function cardBytes(card: PopCard): Uint8Array {
  const texts = new Map<string, number>();
  const indexOf = (text: string): number => {
    const known = texts.get(text);
    if (known !== undefined) return known;
    texts.set(text, texts.size);
    return texts.size - 1;
  };
  const endpoints = card.endpoints.map((one) => endpointItems(one, indexOf));
  const writer = new Writer()
    .array(8)
    .str(card.url)
    .int(TIERS.indexOf(card.tier))
    .str(card.region)
    .str(card.zone)
    .int(card.chunkBytes)
    .bool(card.draining)
    .array(texts.size);
  for (const text of texts.keys()) writer.str(text);
  writer.array(endpoints.length);
  for (const items of endpoints) writer.value(items);
  return writer.bytes();
}

function endpointItems(card: EndpointCard, indexOf: (text: string) => number) {
  const context = card.contextTokens;
  return [
    card.id,
    TIERS.indexOf(card.tier),
    indexOf(card.region),
    card.models.map(indexOf),
    card.capabilities,
    context === undefined ? null : whole(context),
    card.tenants.map(indexOf),
    ADMISSION_STATES.indexOf(card.admission),
    ...[card.priceIn, card.priceCached, card.priceOut],
    whole(card.maxInFlight),
    whole(card.replicas),
  ];
}

function readCardBytes({ pop, revision }: CardPage, reader: Reader): PopCard {
  const items = reader.array(8, MAX_ITEMS);
  const url = reader.str(1, 512);
  const tier = TIERS[reader.int(0, TIERS.length - 1)];
  const region = reader.str(0, 64);
  const zone = reader.str(0, 64);
  const chunkBytes = reader.int(1, 1 << 20);
  const draining = reader.bool();
  const texts = list(reader, MAX_ITEMS, () => reader.str(0, 256));
  const endpoints = list(reader, MAX_ENDPOINTS, () => readEndpoint(reader, texts));
  skip(reader, items - 8);
  reader.end();
  return { id: pop, url, tier, region, zone, chunkBytes, draining, endpoints, revision };
}

function readEndpoint(reader: Reader, texts: readonly string[]): EndpointCard {
  const items = reader.array(13, MAX_ITEMS);
  const text = () => texts[reader.int(0, texts.length - 1)];
  const card = {
    id: reader.str(1, 64),
    tier: TIERS[reader.int(0, TIERS.length - 1)],
    region: text(),
    models: list(reader, MAX_ITEMS, text),
    capabilities: reader.int(0, 0xffffffff),
    contextTokens: reader.nil() ? undefined : reader.int(),
    tenants: list(reader, MAX_ITEMS, text),
    admission: ADMISSION_STATES[reader.int(0, ADMISSION_STATES.length - 1)],
    priceIn: price(reader),
    priceCached: price(reader),
    priceOut: price(reader),
    maxInFlight: reader.int(0, COUNT_MAX),
    replicas: reader.int(0, COUNT_MAX),
  };
  skip(reader, items - 13);
  return card;
}

function price(reader: Reader): number {
  const value = reader.float();
  if (!(value >= 0 && value < 1e9)) throw new SchemaError("price expected");
  return value;
}

function list<T>(reader: Reader, most: number, read: () => T): T[] {
  return Array.from({ length: reader.array(0, most) }, read);
}

function skip(reader: Reader, items: number): void {
  for (let i = 0; i < items; i++) reader.value();
}

/** Values over many orders of magnitude in one byte: equal steps of the logarithm. */
interface LogScale {
  least: number;
  /** Between two codes, of the natural logarithm; the error is half of it. */
  step: number;
}

/** Tokens per ms, 0.005 to 60,000, to 3.2 %; milliseconds, 0.02 to 60,000, to 3 %. */
const RATE: LogScale = { least: 0.005, step: Math.log(60_000 / 0.005) / 254 };
const ITL: LogScale = { least: 0.02, step: Math.log(60_000 / 0.02) / 254 };

/** 0 is zero. */
function toCode(value: number, { least, step }: LogScale): number {
  if (!(value >= least)) return value > 0 ? 1 : 0;
  return Math.min(255, 1 + Math.round(Math.log(value / least) / step));
}

const fromCode = (code: number, { least, step }: LogScale): number =>
  code === 0 ? 0 : least * Math.exp((code - 1) * step);

type LoadNow = Omit<PopLoad, "atMs" | "seq">;

/** @param most Bytes; of a longer load first the queue classes, then the last endpoints go. */
export function writeLoad(load: LoadNow, most: number): Uint8Array {
  let bytes = loadBytes(load, load.queueClasses);
  for (let told = Math.min(load.endpoints.length, MAX_ENDPOINTS); bytes.length > most; told--) {
    bytes = loadBytes({ ...load, endpoints: load.endpoints.slice(0, told) }, []);
  }
  return bytes;
}

function loadBytes({ revision, endpoints }: LoadNow, classes: readonly number[]): Uint8Array {
  const tokens = classes.slice(0, QUEUE_CLASSES).map((value) => whole(Math.round(value)));
  const set = tokens.filter((value) => value > 0);
  const mask = tokens.reduce((bits, value, i) => (value > 0 ? bits | (1 << i) : bits), 0);
  const some = endpoints.slice(0, MAX_ENDPOINTS);
  const writer = new Writer().array(2 + set.length + 5 * some.length);
  writer.int(revision % 0x10000).int(mask);
  for (const value of set) writer.int(value);
  for (const one of some) {
    writer
      .int(whole(Math.round(one.queuedTokens)))
      .int(2 * whole(one.inFlight) + (one.up ? 1 : 0))
      .int(Math.round(Math.min(1, Math.max(0, one.kvUsage)) * 127) || 0)
      .int(toCode(one.prefillRate, RATE))
      .int(toCode(one.itlMs, ITL));
  }
  return writer.bytes();
}

/** A load as read; `revision` is modulo 2^16. @throws SchemaError */
export function readLoad(bytes: Uint8Array): LoadNow {
  const reader = new Reader(bytes);
  const items = reader.array(2, 2 + QUEUE_CLASSES + 5 * MAX_ENDPOINTS);
  const revision = reader.int(0, 0xffff);
  const mask = reader.int(0, 2 ** QUEUE_CLASSES - 1);
  let left = items - 2;
  const queueClasses = new Array<number>(QUEUE_CLASSES).fill(0);
  for (let i = 0; i < QUEUE_CLASSES; i++) {
    if ((mask & (1 << i)) === 0) continue;
    left--;
    queueClasses[i] = reader.int(0, COUNT_MAX);
  }
  if (left < 0 || left % 5 !== 0) throw new SchemaError("five items per endpoint expected");
  const endpoints: EndpointLoad[] = [];
  for (; left > 0; left -= 5) endpoints.push(readEndpointLoad(reader));
  reader.end();
  return { revision, endpoints, queueClasses };
}

function readEndpointLoad(reader: Reader): EndpointLoad {
  const queuedTokens = reader.int(0, COUNT_MAX);
  const running = reader.int(0, 2 * COUNT_MAX + 1);
  return {
    queuedTokens,
    up: running % 2 === 1,
    inFlight: Math.floor(running / 2),
    kvUsage: reader.int(0, 127) / 127,
    prefillRate: fromCode(reader.int(0, 255), RATE),
    itlMs: fromCode(reader.int(0, 255), ITL),
  };
}
