import { beforeEach, describe, expect, test } from "vitest";
import { BlockTable } from "../../../src/kv/block-table.ts";
import { MEDIUM, type StoredEvent } from "../../../src/kv/events.ts";
import { KvKnowledge } from "../../../src/kv/knowledge.ts";

const BLOCK = 16;
/** 64 bytes of text are 16 tokens here: a chunk is a block. */
const CHUNK_BYTES = 64;

/** A chain of chunk hashes and the ids of its text; equal words, equal prefix. */
function prompt(words: string, tail = 0) {
  const chain = new Uint32Array(words.length * 2);
  const tokenIds: number[] = [];
  let state = 7;
  for (let at = 0; at < words.length; at++) {
    state = Math.imul(state ^ words.charCodeAt(at), 0x01000193) >>> 0;
    chain.set([state, state ^ 0x5a5a5a5a], at * 2);
    for (let id = 0; id < BLOCK; id++) tokenIds.push(words.charCodeAt(at) * 100 + id);
  }
  for (let id = 0; id < tail; id++) tokenIds.push(id);
  return { chain, tokenIds, bytes: words.length * CHUNK_BYTES + tail * 4, adapter: "", salt: "" };
}

let nextHash = 1;
function stored(words: string, from = 0, more: Partial<StoredEvent> = {}): StoredEvent {
  const { tokenIds } = prompt(words);
  const hashes = new Uint32Array((words.length - from) * 2);
  for (let at = 0; at < hashes.length; at += 2) hashes[at] = nextHash++;
  return {
    kind: "stored",
    hashes,
    parent: undefined,
    tokenIds: tokenIds.slice(from * BLOCK),
    blockTokens: BLOCK,
    medium: MEDIUM.device,
    adapter: "",
    extras: undefined,
    group: 0,
    isFull: true,
    ...more,
  };
}
const removed = (hashes: Uint32Array, more = {}) => ({
  kind: "removed" as const,
  hashes,
  medium: MEDIUM.device,
  group: 0,
  ...more,
});

let index: Map<string, number>;
let knowledge: KvKnowledge;
let table: BlockTable;
const key = (low: number, high: number, row: number) => `${row}:${low}.${high}`;
/** Chunks of the words, from the root, that the index says the row holds. */
function holds(words: string, row = 3): number {
  const { chain } = prompt(words);
  let chunk = 0;
  while (chunk < words.length && index.has(key(chain[chunk * 2], chain[chunk * 2 + 1], row))) {
    chunk++;
  }
  return chunk;
}

beforeEach(() => {
  index = new Map();
  const told = {
    hold: (low: number, high: number, row: number, media: number) =>
      void index.set(key(low, high, row), media),
    drop: (low: number, high: number, row: number) => void index.delete(key(low, high, row)),
  };
  knowledge = new KvKnowledge(told, CHUNK_BYTES, 64);
  table = knowledge.addTable(3);
});

describe("events about blocks are events about chunks", () => {
  test("whichever comes first, the event or the prompt's ids", () => {
    table.stored(stored("abcd"));
    expect(holds("abcd")).toBe(0);
    knowledge.learnPrompt(prompt("abcd"));
    expect(holds("abcd")).toBe(4);
    knowledge.learnPrompt(prompt("xyz"));
    table.stored(stored("xyz"));
    expect(holds("xyz")).toBe(3);
  });

  test("an event tells of every endpoint that publishes, whoever sent the prompt there", () => {
    const other = knowledge.addTable(9);
    table.stored(stored("abcd"));
    knowledge.learnPrompt(prompt("abcd"));
    other.stored(stored("ab"));
    expect(holds("abcd", 9)).toBe(2);
    knowledge.removeTable(other);
    expect(knowledge.blockTokensOf(9)).toBe(0);
  });

  test("a removal takes back what it names, by the engine's own hashes", () => {
    const event = stored("abcd");
    table.stored(event);
    knowledge.learnPrompt(prompt("abcd"));
    table.removed(removed(event.hashes.slice(4)));
    expect(holds("abcd")).toBe(2);
    expect(table.blocks).toBe(2);
  });

  test("later blocks hang on their parent's hash; an unknown parent is an orphan", () => {
    const event = stored("ab");
    table.stored(event);
    table.stored(stored("abcd", 2, { parent: event.hashes.slice(2) }));
    table.stored(stored("abcdef", 4, { parent: Uint32Array.of(999, 999) }));
    knowledge.learnPrompt(prompt("abcdef"));
    expect(holds("abcdef")).toBe(4);
    expect(table.orphans).toBe(2);
  });

  test("a block in two media is held until the last lets go", () => {
    const event = stored("ab");
    table.stored(event);
    table.stored({ ...event, medium: MEDIUM.host });
    knowledge.learnPrompt(prompt("ab"));
    expect([...index.values()]).toEqual([3, 3]);
    table.removed(removed(event.hashes));
    expect([...index.values()]).toEqual([2, 2]);
    table.removed(removed(event.hashes, { medium: MEDIUM.host }));
    expect(index.size).toBe(0);
  });

  test("a hit counts less by the media that it lies in", () => {
    const seen = new Map<number, number>();
    const weigh = () => {
      seen.clear();
      knowledge.discounts(prompt("abcdefghij").chain, (row, discount) => seen.set(row, discount));
      return seen.get(3);
    };
    const event = stored("abcdefghij");
    table.stored(event);
    knowledge.learnPrompt(prompt("abcdefghij"));
    expect(weigh()).toBeUndefined();
    // The last four move to host memory, the last of them on to disk.
    table.stored({ ...stored("abcdefghij"), hashes: event.hashes, medium: MEDIUM.host });
    table.removed(removed(event.hashes.slice(12)));
    expect(weigh()).toBeCloseTo(0.4 * 0.2, 9);
    const last = event.hashes.slice(18);
    table.stored({
      ...stored("abcdefghij", 9),
      parent: event.hashes.slice(16, 18),
      hashes: last,
      medium: MEDIUM.disk,
    });
    table.removed(removed(last, { medium: MEDIUM.host }));
    expect(weigh()).toBeCloseTo(0.3 * 0.2 + 0.1 * 0.5, 9);
    table.clear(true);
    expect(weigh()).toBe(0);
    expect(weigh()).toBeUndefined();
  });

  test("two ranks of one endpoint: held while either holds", () => {
    const second = knowledge.addTable(3);
    const event = stored("ab");
    table.stored(event);
    second.stored(event);
    knowledge.learnPrompt(prompt("ab"));
    table.clear(true);
    expect(holds("ab")).toBe(2);
    second.clear(true);
    expect(holds("ab")).toBe(0);
  });

  test("adapters and salts are other prefixes", () => {
    table.stored(stored("ab", 0, { adapter: "sql" }));
    table.stored(stored("cd", 0, { extras: ["salt", ""] }));
    for (const words of ["ab", "cd"]) knowledge.learnPrompt(prompt(words));
    expect([holds("ab"), holds("cd")]).toEqual([0, 0]);
    knowledge = new KvKnowledge(
      { hold: (low, high, row) => void index.set(key(low, high, row), 1), drop: () => {} },
      CHUNK_BYTES,
      64,
    );
    table = knowledge.addTable(3);
    table.stored(stored("ab", 0, { adapter: "sql" }));
    table.stored(stored("cd", 0, { extras: ["salt", ""] }));
    knowledge.learnPrompt({ ...prompt("ab"), adapter: "sql" });
    knowledge.learnPrompt({ ...prompt("cd"), salt: "salt" });
    expect([holds("ab"), holds("cd")]).toEqual([2, 2]);
  });

  test("groups of a hybrid model that keep a window only are passed over, removals too", () => {
    const event = stored("ab");
    table.stored(event);
    table.stored({ ...event, group: 1, isFull: false });
    knowledge.learnPrompt(prompt("ab"));
    table.removed(removed(event.hashes, { group: 1 }));
    expect(holds("ab")).toBe(2);
  });
});

describe("answers", () => {
  beforeEach(() => {
    table.stored(stored("zz"));
    knowledge.learnPrompt(prompt("abcd", 5));
  });

  test("cached_tokens holds what no event told of, to the block", () => {
    expect(knowledge.confirm(3, prompt("abcd").chain, 0, 3 * BLOCK, true)).toBe(true);
    expect(holds("abcd")).toBe(3);
    expect(knowledge.confirm(3, prompt("abcd").chain, 3, 3 * BLOCK, true)).toBe(false);
  });

  test("not where nobody would tell when it goes", () => {
    knowledge.confirm(3, prompt("abcd").chain, 0, 4 * BLOCK, false);
    expect(holds("abcd")).toBe(0);
  });

  test("a credit that no event confirmed is taken back where the stream is whole", () => {
    const { chain } = prompt("abcd");
    for (let at = 0; at < 4; at++) index.set(key(chain[at * 2], chain[at * 2 + 1], 3), 1);
    table.stored(stored("ab"));
    knowledge.settle(3, chain, false);
    expect(holds("abcd")).toBe(4);
    knowledge.settle(3, chain, true);
    expect(holds("abcd")).toBe(2);
  });

  test("the prompt's place in tokens, and how far a match goes on past it", () => {
    const { chain } = prompt("abcd");
    expect(knowledge.place(chain)).toMatchObject({ chunks: 4 });
    expect(knowledge.place(chain)?.tokens).toBeCloseTo(64, 3);
    knowledge.confirm(3, chain, 4, 64, true);
    expect(knowledge.place(chain)?.expected).toBeCloseTo(64, 3);
    expect(knowledge.place(prompt("abxy").chain)?.chunks).toBe(2);
    expect(knowledge.place(prompt("qrst").chain)).toBeUndefined();
  });
});

describe("places by estimate", () => {
  test("text of uneven density: a place past what two prompts share moves back", () => {
    table.stored(stored("zz"));
    // The first prompt's end is dense, so its line is too steep for its beginning.
    const first = prompt("abcd");
    const dense = [...first.tokenIds, ...Array.from({ length: 64 }, (_, at) => at)];
    knowledge.learnPrompt({ ...first, tokenIds: dense });
    const before = knowledge.place(prompt("ab").chain)?.tokens ?? 0;
    expect(before).toBeCloseTo(64, 3);
    for (let round = 0; round < 4; round++) knowledge.learnPrompt(prompt("abyz"));
    expect(knowledge.place(prompt("ab").chain)?.tokens).toBeLessThanOrEqual(48);
    table.stored(stored("abyz"));
    expect(holds("ab")).toBe(2);
  });
});

describe("bounds", () => {
  test("an engine that stores and never removes: the table begins anew at its bound", () => {
    const gone: number[] = [];
    const listener = {
      onHeld: () => {},
      onGone: (low: number) => gone.push(low),
      onBlockSize: () => {},
    };
    const bounded = new BlockTable(listener, 100);
    for (let n = 0; n < 1_010; n++) {
      bounded.stored(stored(String.fromCharCode(300 + n)));
      expect(bounded.blocks).toBeLessThanOrEqual(100);
    }
    expect(bounded.blocks).toBe(10);
    expect(gone).toHaveLength(1_000);
  });

  test("the prompt map: the oldest not looked up goes, and nobody is said to hold it", () => {
    table.stored(stored("A"));
    knowledge.learnPrompt(prompt("A"));
    expect(index.size).toBe(1);
    for (let n = 0; n < 300; n++) knowledge.learnPrompt(prompt(String.fromCharCode(300 + n)));
    expect(knowledge.prompts.size).toBe(64);
    expect(index.size).toBe(0);
  });
});
