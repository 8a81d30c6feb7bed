import { describe, expect, it } from "vitest";
import { sealed } from "../../../src/door/compaction.ts";
import { ResponseTurn } from "../../../src/door/response-turn.ts";
import { ResponseStore } from "../../../src/state/response-store.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const LIMIT = 100_000;
const bytesOf = (body: object): Uint8Array => encoder.encode(JSON.stringify(body));
const prepared = async (turn: ResponseTurn, body: object): Promise<Record<string, unknown>> =>
  JSON.parse(decoder.decode(await turn.prepare(bytesOf(body), LIMIT)));
const said = (id: string): Record<string, unknown> => ({
  ...{ id: `resp_${id}`, status: "completed" },
  output: [{ id: `msg_${id}`, type: "message", role: "assistant", content: [] }],
});

function made(connection?: string): { store: ResponseStore; turn(): ResponseTurn } {
  const store = new ResponseStore({ bytes: 1_000_000, ttlMs: 1_000, clock: () => 0 });
  return { store, turn: () => new ResponseTurn(store, { tenant: "t", connection }) };
}

describe("a turn", () => {
  it("leaves a body that refers to nothing as it is, byte for byte", async () => {
    const { turn } = made();
    const plain = bytesOf({ model: "m", input: "x" });
    expect(await turn().prepare(plain, LIMIT)).toBe(plain);
    const words = bytesOf({ model: "m", input: 'say "item_reference", "compaction"' });
    const quoted = encoder.encode('{"model":"m","input":[{"type":"x","y":"item_reference"}]}');
    expect(await turn().prepare(words, LIMIT)).toBe(words);
    expect(await turn().prepare(quoted, LIMIT)).toBe(quoted);
    const none = encoder.encode('{"previous_response_id":null, "input":"x"}');
    expect(await turn().prepare(none, LIMIT)).toBe(none);
    const broken = encoder.encode('{"previous_response_id":');
    expect(await turn().prepare(broken, LIMIT)).toBe(broken);
  });

  it("puts what was said before the input, and names the response that it continues", async () => {
    const { turn } = made();
    const first = turn();
    await prepared(first, { input: "one" });
    first.keep(said("1"));
    const second = turn();
    const body = await prepared(second, {
      model: "m",
      previous_response_id: "resp_1",
      input: "two",
    });
    expect(body).toMatchObject({
      model: "m",
      input: [{ content: "one" }, { id: "msg_1" }, { content: "two" }],
    });
    expect(body).not.toHaveProperty("previous_response_id");
    const event = JSON.stringify({ type: "response.created", response: { id: "resp_2" } });
    expect(second.event("response.created", event)).toMatchObject({
      response: { previous_response_id: "resp_1" },
    });
    expect(second.event("response.output_text.delta", "{}")).toBeUndefined();
    expect(second.event("error", '{"type":"error"}')).toMatchObject({ sequence_number: 2 });
  });

  it("puts items and summaries in the place of what refers to them", async () => {
    const { turn } = made();
    const first = turn();
    await prepared(first, { input: "one" });
    first.keep(said("1"));
    const { input } = await prepared(turn(), {
      input: [
        { type: "item_reference", id: "msg_1" },
        { type: "item_reference", id: "msg_unknown" },
        sealed("cmp_1", "We said ünicode."),
        { type: "compaction", encrypted_content: "another vendor's" },
      ],
    });
    expect(input).toMatchObject([
      { id: "msg_1", type: "message" },
      { type: "item_reference", id: "msg_unknown" },
      { role: "developer", content: "Summary of the conversation so far:\nWe said ünicode." },
      { type: "compaction", encrypted_content: "another vendor's" },
    ]);
  });

  it("refuses what it does not hold, and a conversation over the bound", async () => {
    const { turn } = made();
    const unknown = { previous_response_id: "resp_x", input: "x" };
    const code = "previous_response_not_found";
    await expect(prepared(turn(), unknown)).rejects.toMatchObject({ code });
    const first = turn();
    await first.prepare(bytesOf({ input: "x".repeat(1_000) }), LIMIT);
    first.keep(said("1"));
    const next = bytesOf({ previous_response_id: "resp_1", input: "x" });
    const tooLong = { code: "payload_too_large" };
    await expect(turn().prepare(next, 500)).rejects.toMatchObject(tooLong);
  });

  it("without store it is kept by its connection alone, until a continuation fails", async () => {
    const { store, turn } = made("socket");
    const first = turn();
    await prepared(first, { input: "one", store: false });
    first.keep(said("1"));
    first.keep({ ...said("1"), output: [] });
    expect(store.get("t", "resp_1")).toBeUndefined();
    expect(store.get("socket", "resp_1")?.itemIds).toEqual(["msg_1"]);
    const second = turn();
    await prepared(second, { previous_response_id: "resp_1", input: "two" });
    second.failed();
    expect(store.get("socket", "resp_1")).toBeUndefined();
    const stored = turn();
    await prepared(stored, { input: "three", store: true });
    stored.keep({ ...said("3"), status: "failed" });
    expect(store.size).toBe(0);
  });
});
