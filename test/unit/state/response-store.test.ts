import { describe, expect, it } from "vitest";
import {
  conversationOf,
  type HeldResponse,
  ResponseStore,
} from "../../../src/state/response-store.ts";

function held(id: string, previous?: HeldResponse, letters = 10): HeldResponse {
  const output = JSON.stringify({ id: `msg_${id}`, text: "x".repeat(letters) });
  const input = JSON.stringify({ role: "user", content: id });
  return { id, previous, input, output, response: "{}", itemIds: [`msg_${id}`] };
}

function store(bytes = 1_000_000): { store: ResponseStore; later(ms: number): void } {
  let nowMs = 0;
  const made = new ResponseStore({ bytes, ttlMs: 1_000, clock: () => nowMs });
  const later = (ms: number): void => {
    nowMs += ms;
  };
  return { store: made, later };
}

describe("responses that may be continued", () => {
  it("are found by their owner only, with their items, until dropped", () => {
    const { store: one } = store();
    one.put("a", held("r1"));
    expect(one.get("a", "r1")?.id).toBe("r1");
    expect(one.get("b", "r1")).toBeUndefined();
    expect(JSON.parse(one.item("a", "msg_r1") ?? "")).toMatchObject({ id: "msg_r1" });
    expect(one.item("b", "msg_r1")).toBeUndefined();
    expect(one.drop("a", "r1")).toBe(true);
    expect(one.item("a", "msg_r1")).toBeUndefined();
  });

  it("are forgotten a while after their last use", () => {
    const { store: one, later } = store();
    one.put("a", held("r1"));
    later(900);
    expect(one.get("a", "r1")).toBeDefined();
    later(900);
    expect(one.get("a", "r1")).toBeDefined();
    later(1_001);
    expect(one.get("a", "r1")).toBeUndefined();
    expect(one.item("a", "msg_r1")).toBeUndefined();
  });

  it("a conversation is what all before it said, in order", () => {
    const first = held("r1");
    const second = held("r2", first);
    const items = JSON.parse(`[${conversationOf(second)}]`) as { id?: string; content?: string }[];
    expect(items.map(({ id, content }) => id ?? content)).toEqual(["r1", "msg_r1", "r2", "msg_r2"]);
    expect(conversationOf(undefined)).toBe("");
  });

  it("stay within their bytes, a long chain counted whole, and one too large is not kept", () => {
    const { store: one } = store(20_000);
    let last: HeldResponse | undefined;
    for (let n = 0; n < 100; n++) {
      last = held(`r${n}`, last, 200);
      one.put("a", last);
      expect(one.bytes).toBeLessThanOrEqual(20_000);
    }
    expect(one.get("a", "r99")).toBeUndefined();
    one.put("a", held("small"));
    expect(one.get("a", "small")).toBeDefined();
    one.put("a", held("large", undefined, 100_000));
    expect(one.get("a", "large")).toBeUndefined();
    expect(one.item("a", "msg_large")).toBeUndefined();
    const { store: none } = store(0);
    none.put("a", held("r1"));
    expect(none.size).toBe(0);
  });
});
