/**
 * Payloads as engines send them. The first is the batch captured from vLLM 0.26.0 (kthena issue
 * 1535), byte by byte; the others follow the layouts of `research` and are written with msgpack
 * directly, never with the code under test.
 */
import { readFileSync } from "node:fs";
import { encode } from "@msgpack/msgpack";
import { describe, expect, test } from "vitest";
import { decodeBatch, MEDIUM, type StoredEvent } from "../../../src/kv/events.ts";

const hex = (text: string) => Uint8Array.from(text.match(/../g) ?? [], (two) => parseInt(two, 16));
const text = (value: string) =>
  (value.length < 32 ? (0xa0 + value.length).toString(16) : `d9${value.length.toString(16)}`) +
  [...value].map((letter) => letter.charCodeAt(0).toString(16).padStart(2, "0")).join("");

const IDS = Array.from({ length: 16 }, (_, at) => at + 1);
const IDS_HEX = `dc0010${IDS.map((id) => id.toString(16).padStart(2, "0")).join("")}`;
const one = (batch: unknown) => decodeBatch(encode(batch, { useBigInt64: true }));
const stored = (batch: unknown) => one(batch).events[0] as StoredEvent;
const pairs = (...words: number[]) => Uint32Array.from(words);

describe("vLLM 0.32.0, as recorded", () => {
  const file = new URL("../../fixtures/engines/vllm-0.32-kv-events.json", import.meta.url);
  const recorded = JSON.parse(readFileSync(file, "utf8")) as Record<string, string>;
  const read = (name: string) => decodeBatch(hex(recorded[name] as string));
  const START = [3, 22, 23, 24];

  test("every batch is read whole", () => {
    for (const name of Object.keys(recorded)) {
      const { bad, unknown } = read(name);
      expect([name, bad, unknown]).toEqual([name, 0, 0]);
    }
    expect(read("cleared").events).toEqual([{ kind: "cleared" }]);
  });

  test("a cache cleared, and filled again, in one batch; the next block hangs on it", () => {
    const [cleared, first] = read("clearedAndStored").events as [unknown, StoredEvent];
    expect(cleared).toEqual({ kind: "cleared" });
    expect(first).toMatchObject({ kind: "stored", blockTokens: 32, adapter: "", group: 0 });
    expect(first).toMatchObject({ medium: MEDIUM.device, isFull: true, parent: undefined });
    expect(first.extras).toBeUndefined();
    expect(first.tokenIds.length).toBe(64);
    expect(Array.from(first.tokenIds).slice(0, 4)).toEqual(START);
    const [next] = read("storedMore").events as [StoredEvent];
    expect(next.parent).toEqual(first.hashes.slice(2));
    expect(next.hashes.length).toBe(2);
  });

  test("a salt stands with the first block only", () => {
    const [salted] = read("salted").events as [StoredEvent];
    expect(salted.extras).toEqual(["pepper", ""]);
    expect(Array.from(salted.tokenIds).slice(0, 4)).toEqual(START);
  });

  test("removals come one by one, before what takes their place", () => {
    const { events } = read("removed");
    expect(events.map(({ kind }) => kind)).toEqual([...Array(21).fill("removed"), "stored"]);
    expect(events[0]).toMatchObject({ medium: MEDIUM.device, group: 0 });
  });
});

describe("vLLM", () => {
  test("0.26.0 as captured: a map with an integer hash beyond 2^63", () => {
    const payload =
      `93cb41daa94c96b51eb8` +
      `91${"8c"}${text("type")}${text("BlockStored")}` +
      `${text("block_hashes")}91cfdab8d80faa7d0000`.replace(
        "dab8d80faa7d0000",
        "dab89ac38e4c1000",
      ) +
      `${text("parent_block_hash")}c0${text("token_ids")}${IDS_HEX}` +
      `${text("block_size")}10${text("lora_id")}c0${text("medium")}${text("GPU")}` +
      `${text("lora_name")}c0${text("extra_keys")}91c0${text("group_idx")}00` +
      `${text("kv_cache_spec_kind")}${text("full_attention")}` +
      `${text("kv_cache_spec_sliding_window")}c0` +
      "00";
    const { events, bad, unknown } = decodeBatch(hex(payload));
    expect([bad, unknown]).toEqual([0, 0]);
    expect(events).toEqual([
      {
        kind: "stored",
        hashes: pairs(0x8e4c1000, 0xdab89ac3),
        parent: undefined,
        tokenIds: IDS,
        blockTokens: 16,
        medium: MEDIUM.device,
        adapter: "",
        extras: undefined,
        group: 0,
        isFull: true,
      },
    ]);
  });

  test("0.23 as positional arrays, with the tail left out", () => {
    const batch = [1, [["BlockStored", [5n, -1n], 7n, [...IDS, ...IDS], 16, null]]];
    expect(stored(batch)).toMatchObject({
      hashes: pairs(5, 0, 0xffffffff, 0xffffffff),
      parent: pairs(7, 0),
      blockTokens: 16,
      medium: MEDIUM.device,
      adapter: "",
    });
  });

  test("bytes count by their last eight, as in vLLM's own integers", () => {
    const sha = hex(`${"00".repeat(24)}0102030405060708`);
    const event = stored([1, [["BlockStored", [sha], sha, IDS, 16, null, "GPU"]], 0]);
    expect(event.hashes).toEqual(pairs(0x05060708, 0x01020304));
    expect(event.parent).toEqual(event.hashes);
    const asInt = stored([1, [["BlockStored", [0x0102030405060708n], null, IDS, 16]]]);
    expect(asInt.hashes).toEqual(event.hashes);
  });

  test("the adapter is told once, the salt stays an extra key", () => {
    const map = {
      type: "BlockStored",
      block_hashes: [1, 2],
      parent_block_hash: null,
      token_ids: [...IDS, ...IDS],
      block_size: 16,
      lora_id: 3,
      lora_name: "sql",
      extra_keys: [["sql", "salt-1"], ["sql"]],
      medium: "CPU",
    };
    expect(stored([1, [map]])).toMatchObject({
      adapter: "sql",
      extras: ["salt-1", ""],
      medium: MEDIUM.host,
    });
  });

  test("images stand in the extra keys with their offsets", () => {
    const keys = [[["image-hash", 12n]], null];
    const event = stored([
      1,
      [["BlockStored", [1, 2], null, [...IDS, ...IDS], 16, null, "GPU", null, keys]],
    ]);
    expect(event.extras).toEqual(['["image-hash",12]'.replace("12", '"12"'), ""]);
  });

  test("a sliding window's blocks are marked; mla's are as good as full attention's", () => {
    const kind = (name: string) =>
      stored([
        1,
        [
          {
            type: "BlockStored",
            block_hashes: [1],
            token_ids: IDS,
            block_size: 16,
            group_idx: 1,
            kv_cache_spec_kind: name,
          },
        ],
      ]);
    expect(kind("sliding_window")).toMatchObject({ isFull: false, group: 1 });
    expect(kind("mla_attention").isFull).toBe(true);
  });

  test("removals and clears in both encodings", () => {
    const arrays = one([1, [["BlockRemoved", [9n], "GPU"], ["AllBlocksCleared"]], 0]);
    const maps = one([
      1,
      [
        { type: "BlockRemoved", block_hashes: [9], medium: "GPU", group_idx: 0 },
        { type: "AllBlocksCleared" },
      ],
      0,
    ]);
    expect(arrays).toEqual(maps);
    expect(maps.events).toEqual([
      { kind: "removed", hashes: pairs(9, 0), medium: MEDIUM.device, group: 0 },
      { kind: "cleared" },
    ]);
  });

  test("the envelope may be a map too", () => {
    const batch = { ts: 1, events: [["AllBlocksCleared"]], data_parallel_rank: 1 };
    expect(one(batch).events).toEqual([{ kind: "cleared" }]);
  });
});

describe("SGLang and TensorRT-LLM", () => {
  test("BlockStoredWithMetadata: the salt stands in a map at the end", () => {
    const raw = [
      "BlockStoredWithMetadata",
      [1, 2],
      null,
      [...IDS, ...IDS],
      16,
      null,
      "GPU",
      { cache_salt: "s" },
    ];
    expect(stored([1, [raw], 0])).toMatchObject({
      extras: ["s", ""],
      adapter: "",
      blockTokens: 16,
    });
    const later = ["BlockStoredWithMetadata", [3], 2, IDS, 16, null, "GPU", { cache_salt: "s" }];
    expect(stored([1, [later], 0]).extras).toBeUndefined();
  });

  test.each([
    ["GPU", "device"],
    ["CPU_PINNED", "host"],
    ["DISK", "disk"],
    ["EXTERNAL", "fabric"],
  ] as const)("medium %s is %s", (name, medium) => {
    const event = stored([1, [["BlockStored", [1], null, IDS, 16, null, name]]]);
    expect(event.medium).toBe(MEDIUM[medium]);
  });

  test("TensorRT-LLM's maps in an array, with fields that only it has", () => {
    const map = {
      type: "BlockStored",
      block_hashes: [4],
      parent_block_hash: null,
      token_ids: [...IDS, ...IDS],
      block_size: 32,
      locality: "local",
      medium: null,
    };
    expect(stored([1, [map], 0])).toMatchObject({ blockTokens: 32, medium: MEDIUM.device });
  });
});

describe("what is wrong", () => {
  test("one bad event costs only itself; an unknown kind is counted apart", () => {
    const batch = one([
      1,
      [
        ["BlockStored", [1], null, [1, 2], 16],
        ["BlockStored", ["no hash"], null, IDS, 16],
        ["BlockStored", [1], null, IDS, 0],
        ["BlockStored", [1], null, [[1, 2], ...IDS], 16],
        ["BlockRemoved", null],
        17,
        ["BlockMoved", [1]],
        { type: "constructor" },
        ["AllBlocksCleared"],
      ],
    ]);
    expect(batch.events).toEqual([{ kind: "cleared" }]);
    expect([batch.bad, batch.unknown]).toEqual([6, 2]);
  });

  test.each([["c0"], ["01"], ["9101"], ["93"], [""], ["81a161"]])("no batch: %s", (payload) => {
    expect(() => decodeBatch(hex(payload))).toThrow();
  });

  test("more events or hashes than any step has are refused", () => {
    const many = Array.from({ length: 65_540 }, () => ["AllBlocksCleared"]);
    const batch = one([1, many]);
    expect([batch.events.length, batch.bad]).toEqual([65_536, 4]);
    const hashes = Array.from({ length: 65_537 }, () => 1);
    expect(one([1, [["BlockRemoved", hashes]]]).bad).toBe(1);
  });
});
