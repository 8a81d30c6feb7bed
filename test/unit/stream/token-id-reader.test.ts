import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { GridError } from "../../../src/grid/errors.ts";
import type { Headers, OutHandler } from "../../../src/grid/exchange.ts";
import { TokenIdReader, type TokenIdMode } from "../../../src/stream/token-id-reader.ts";
import { tokenIdsOf } from "../../../src/stream/token-ids.ts";

class Sink implements OutHandler {
  text = "";
  headers: Headers = {};
  ended = 0;
  errors: GridError[] = [];
  onHead(_status: number, headers: Headers): void {
    this.headers = headers;
  }
  onData(chunk: Uint8Array): boolean {
    this.text += new TextDecoder().decode(chunk);
    return true;
  }
  onEnd(): void {
    this.ended++;
  }
  onError(error: GridError): void {
    this.errors.push(error);
  }
}

function run(mode: TokenIdMode, headers: Headers, text: string, step: number, status = 200) {
  const sink = new Sink();
  const reader = new TokenIdReader(sink, mode);
  reader.onHead(status, headers);
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += step) reader.onData(bytes.subarray(at, at + step));
  reader.onEnd();
  return { sink, reader };
}

const SSE = { "content-type": "text/event-stream" };
const JSON_TYPE = { "content-type": "application/json", "content-length": "1" };
const chunk = (delta: unknown, more = {}, top = {}) =>
  `data: ${JSON.stringify({ id: "c", choices: [{ index: 0, delta, ...more }], ...top })}\n\n`;
const ROLE = { role: "assistant", content: "" };
const WITH_IDS =
  chunk(ROLE, {}, { prompt_token_ids: [5, 6, 7] }) +
  chunk({ content: 'say "token_ids"' }, { token_ids: [1] }) +
  ": a comment\n\n" +
  chunk({ content: "b" }, { token_ids: [2] }) +
  "data: [DONE]\n\n";
const WITHOUT =
  chunk(ROLE, {}, { prompt_token_ids: null }) +
  chunk({ content: 'say "token_ids"' }, { token_ids: null }) +
  ": a comment\n\n" +
  chunk({ content: "b" }, { token_ids: null }) +
  "data: [DONE]\n\n";

describe("streams", () => {
  test.each([1, 7, 64, 10_000])("strip, in pieces of %i: as if nobody had asked", (step) => {
    const { sink, reader } = run("strip", SSE, WITH_IDS, step);
    expect(sink.text).toBe(WITHOUT);
    expect(reader.promptIds).toEqual([5, 6, 7]);
    expect(sink.ended).toBe(1);
  });

  test.each([1, 64, 10_000])("read, in pieces of %i: not a byte is changed", (step) => {
    const { sink, reader } = run("read", SSE, WITH_IDS, step);
    expect(sink.text).toBe(WITH_IDS);
    expect(reader.promptIds).toEqual([5, 6, 7]);
  });

  test("completions tell the ids in the choice", () => {
    const choice = { index: 0, text: "a", prompt_token_ids: [8], token_ids: [1] };
    const text = `data: ${JSON.stringify({ choices: [choice] })}\n\n`;
    const { sink, reader } = run("strip", SSE, text, 9);
    expect(reader.promptIds).toEqual([8]);
    const bare = { index: 0, text: "a", prompt_token_ids: null, token_ids: null };
    expect(sink.text).toBe(`data: ${JSON.stringify({ choices: [bare] })}\n\n`);
  });

  test("an event longer than any, and an end without its blank line, pass as they came", () => {
    const long = `data: {"token_ids":"${"x".repeat(1_200_000)}"}\n\n`;
    expect(run("strip", SSE, long, 50_000).sink.text).toBe(long);
    const cut = 'data: {"prompt_token_ids":[1';
    expect(run("strip", SSE, cut, 5).sink.text).toBe(cut);
    const broken = 'data: {"prompt_token_ids":[1\n\n';
    expect(run("strip", SSE, broken, 5).sink.text).toBe(broken);
  });
});

describe("plain answers", () => {
  const body = JSON.stringify({
    choices: [{ index: 0, message: { content: "a" }, token_ids: [1] }],
    prompt_token_ids: [5],
  });

  test("strip rewrites the body, whose promised length no longer holds", () => {
    const { sink, reader } = run("strip", JSON_TYPE, body, 11);
    expect(JSON.parse(sink.text)).toEqual({
      choices: [{ index: 0, message: { content: "a" }, token_ids: null }],
      prompt_token_ids: null,
    });
    expect(sink.headers).toEqual({ "content-type": "application/json" });
    expect(reader.promptIds).toEqual([5]);
  });

  test("read keeps both", () => {
    const { sink } = run("read", JSON_TYPE, body, 11);
    expect(sink.text).toBe(body);
    expect(sink.headers).toEqual(JSON_TYPE);
  });

  test("an error, and a body that is no JSON, pass as they came", () => {
    expect(run("strip", JSON_TYPE, body, 11, 400).sink.text).toBe(body);
    expect(run("strip", JSON_TYPE, "{no", 2).sink.text).toBe("{no");
  });
});

describe("vLLM 0.32.0, as recorded", () => {
  const recorded = (name: string) =>
    readFileSync(new URL(`../../fixtures/engines/vllm-0.32-${name}`, import.meta.url), "utf8");
  /** What differs from one answer to the next, and not by who asks. */
  const alike = (text: string) =>
    text.replace(/chatcmpl-\w+/g, "id").replace(/"created": ?\d+/g, '"created":0');

  test.each([1, 100, 10_000])("a stream is what it is for those who do not ask (%i)", (step) => {
    const { sink, reader } = run("strip", SSE, recorded("stream-ids.txt"), step);
    expect(reader.promptIds).toEqual([3, 46, 79, 4]);
    expect(alike(sink.text)).toBe(alike(recorded("stream.txt")));
  });

  test("and so is a plain answer", () => {
    const { sink, reader } = run("strip", JSON_TYPE, recorded("chat-ids.json"), 99);
    expect(reader.promptIds).toEqual([3, 46, 79, 4]);
    expect(JSON.parse(alike(sink.text))).toEqual(JSON.parse(alike(recorded("chat.json"))));
  });
});

test("ids that are none are not believed", () => {
  expect(tokenIdsOf({ tokens: [1, 2] })).toEqual([1, 2]);
  expect(tokenIdsOf([{ prompt_token_ids: [3] }])).toEqual([3]);
  expect(tokenIdsOf({ prompts: [{ token_ids: [4] }] })).toEqual([4]);
  expect(tokenIdsOf([5, 6])).toEqual([5, 6]);
  for (const none of [null, 7, "x", {}, [], { tokens: [] }, { tokens: [1.5] }, { tokens: [-1] }]) {
    expect(tokenIdsOf(none)).toBeUndefined();
  }
});
