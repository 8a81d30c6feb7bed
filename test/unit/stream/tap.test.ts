import { describe, expect, it } from "vitest";
import { CHAT } from "../../../src/stream/dialects/chat.ts";
import { STREAM_DIALECTS } from "../../../src/stream/dialects/table.ts";
import { SseTap, type SseTapOptions } from "../../../src/stream/tap.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const bytesOf = (text: string): Uint8Array => encoder.encode(text);
const textOf = (bytes: Uint8Array | undefined): string => decoder.decode(bytes);

function event(delta: object, finish: string | null = null, index = 0): string {
  const choices = [{ index, delta, logprobs: null, finish_reason: finish }];
  return `data: ${JSON.stringify({ id: "c1", model: "m1", choices })}\n\n`;
}

const ROLE = event({ role: "assistant", content: "" });
const USAGE_FIELDS = {
  prompt_tokens: 20,
  completion_tokens: 3,
  prompt_tokens_details: { cached_tokens: 16 },
};
const USAGE = `data: ${JSON.stringify({ model: "m1", choices: [], usage: USAGE_FIELDS })}\n\n`;
const DONE = "data: [DONE]\n\n";

function tapOf(options: Partial<SseTapOptions> = {}): SseTap {
  return new SseTap({ dialect: CHAT, dropUsage: false, choices: 1, ...options });
}

describe("SseTap: content", () => {
  it("does not take a role, an empty text or a comment for content", () => {
    const tap = tapOf();
    tap.feed(bytesOf(`: ping\n\n${ROLE}${event({})}${event({ content: null })}`));
    expect(tap.contentSeen).toBe(false);
    expect(tap.model).toBe("m1");
    tap.feed(bytesOf(event({ content: "a" })));
    expect(tap.contentSeen).toBe(true);
    expect(tap.contentEvents).toBe(1);
  });

  it.each([
    { content: "a" },
    { reasoning_content: "a" },
    { reasoning: "a" },
    { refusal: "no" },
    { tool_calls: [{ index: 0 }] },
    { audio: { id: "x" } },
  ])("takes %o for content", (delta) => {
    const tap = tapOf();
    tap.feed(bytesOf(event(delta)));
    expect(tap.contentSeen).toBe(true);
  });

  it("reads text of completions, and no delta there", () => {
    const tap = tapOf();
    tap.feed(bytesOf('data: {"choices":[{"text":"","index":0,"finish_reason":null}]}\n\n'));
    expect(tap.contentSeen).toBe(false);
    tap.feed(bytesOf('data: {"choices":[{"text":"a","index":0,"finish_reason":null}]}\n\n'));
    expect(tap.contentSeen).toBe(true);
  });

  it("ends the wait at a finish_reason without content", () => {
    const tap = tapOf();
    tap.feed(bytesOf(event({}, "stop")));
    expect(tap).toMatchObject({ contentSeen: true, contentEvents: 0, terminal: true });
  });
});

describe("SseTap: bytes", () => {
  it("gives back the very chunk when it is whole", () => {
    const tap = tapOf({ dropUsage: true });
    for (const text of [ROLE, event({ content: "a" }), event({ content: "b" }) + ROLE, DONE]) {
      const chunk = bytesOf(text);
      expect(tap.feed(chunk)).toBe(chunk);
    }
  });

  it("holds an event back until it is whole", () => {
    const tap = tapOf();
    const text = event({ content: "a" });
    expect(tap.feed(bytesOf(text.slice(0, 30)))).toBeUndefined();
    expect(tap.contentSeen).toBe(false);
    expect(textOf(tap.feed(bytesOf(`${text.slice(30)}data: `)))).toBe(text);
    expect(textOf(tap.feed(bytesOf("[DONE]\n\n")))).toBe(DONE);
  });

  it("takes the usage event out, wherever it stands in a chunk", () => {
    const last = event({}, "stop");
    for (const [text, left] of [
      [USAGE, ""],
      [last + USAGE, last],
      [USAGE + DONE, DONE],
      [last + USAGE + DONE, last + DONE],
    ]) {
      const tap = tapOf({ dropUsage: true });
      expect(textOf(tap.feed(bytesOf(text)))).toBe(left);
      expect(tap.usage).toEqual({ promptTokens: 20, completionTokens: 3, cachedTokens: 16 });
    }
  });

  it("takes the LF of a CR out along with the usage event", () => {
    const tap = tapOf({ dropUsage: true });
    const crlf = USAGE.replaceAll("\n", "\r\n");
    expect(tap.feed(bytesOf(crlf.slice(0, -1)))).toBeUndefined();
    expect(textOf(tap.feed(bytesOf(`\n${DONE}`)))).toBe(DONE);
  });

  it("leaves usage in when the caller asked for it, or when choices come with it", () => {
    expect(textOf(tapOf().feed(bytesOf(USAGE)))).toBe(USAGE);
    const both = USAGE.replace('"choices":[]', '"choices":[{"index":0,"delta":{"content":"x"}}]');
    expect(textOf(tapOf({ dropUsage: true }).feed(bytesOf(both)))).toBe(both);
  });

  it("fails with a type over the bound of one event", () => {
    const tap = tapOf({ maxEventBytes: 256 });
    const big = bytesOf(event({ content: "x".repeat(300) }));
    expect(() => tap.feed(big)).toThrow(expect.objectContaining({ code: "bad_response" }));
  });
});

describe("SseTap: the end", () => {
  it("waits for every choice", () => {
    const tap = tapOf({ choices: 2 });
    tap.feed(bytesOf(event({ content: "a" }) + event({}, "stop") + event({}, "stop")));
    expect(tap.terminal).toBe(false);
    tap.feed(bytesOf(event({}, "length", 1)));
    expect(tap).toMatchObject({ terminal: true, doneSeen: false });
  });

  it("sees finish_reason and usage with white space, CRLF and several data lines", () => {
    const tap = tapOf();
    tap.feed(bytesOf(event({ content: "a" })));
    tap.feed(bytesOf('data: {"choices": [{"delta": {}, "finish_reason" : "stop"}]}\r\n\r\n'));
    expect(tap.terminal).toBe(true);
    tap.feed(bytesOf('data: {"choices":[],\ndata: "usage"\ndata: :{"prompt_tokens":1}}\n\n'));
    expect(tap.usage).toEqual({ promptTokens: 1, completionTokens: 0 });
  });

  it("does not mistake text for a key", () => {
    const tap = tapOf();
    tap.feed(bytesOf(event({ content: "a" })));
    const text = '"finish_reason":"stop", "error":{"message":"x"}, "usage":{"prompt_tokens":5}';
    tap.feed(bytesOf(event({ content: text })));
    tap.feed(bytesOf(event({ content: "usage" }) + event({ content: "error" })));
    expect(tap).toMatchObject({ terminal: false, usage: undefined, error: undefined });
    expect(tap.contentEvents).toBe(4);
  });

  it("finishes an event that lacks only its blank line", () => {
    for (const [left, out] of [
      ["data: [DONE]", "data: [DONE]\n\n"],
      ["data: [DONE]\n", "data: [DONE]\n\n"],
      ["data: [DONE]\r", "data: [DONE]\r\n\n"],
    ]) {
      const tap = tapOf();
      tap.feed(bytesOf(event({ content: "a" }) + left));
      expect(tap.terminal).toBe(false);
      expect(textOf(tap.finish())).toBe(out);
      expect(tap.terminal).toBe(true);
    }
  });

  it("cuts an event off that was not finished", () => {
    for (const left of ["data: [DON", event({}, "stop").slice(0, -5), "da", ": pin", "event: x"]) {
      const tap = tapOf();
      tap.feed(bytesOf(event({ content: "a" }) + left));
      expect(tap.finish()).toBeUndefined();
      expect(tap.terminal).toBe(false);
    }
  });
});

describe("SseTap: errors", () => {
  it.each([
    ['{"error":{"message":"boom","type":"server_error","code":500,"param":null}}', "500"],
    ['{"error": {"message": "boom", "code": "oom"}}', "oom"],
    ['{"error":"boom"}', undefined],
    ['{"object":"error","message":"boom","type":"BadRequestError","code":400}', "400"],
  ])("reads %s before and after content", (json, code) => {
    for (const before of ["", event({ content: "a" })]) {
      const tap = tapOf();
      const text = `${before}data: ${json}\n\n`;
      expect(textOf(tap.feed(bytesOf(text)))).toBe(text);
      expect(tap.error?.message).toBe("boom");
      expect(tap.error?.code).toBe(code);
      expect(tap.errorForwarded).toBe(true);
      expect(tap.terminal).toBe(false);
    }
  });

  it("reads a named error event that is not JSON", () => {
    const tap = tapOf();
    tap.feed(bytesOf(`${event({ content: "a" })}event: error\ndata: it broke\n\n`));
    expect(tap.error).toEqual({ message: "it broke" });
  });

  it("keeps JSON that was never framed from the client, at the end or before a blank line", () => {
    const raw = '{\n "error": {"message": "overloaded", "code": 503}\n}';
    for (const end of ["", "\n", "\n\n"]) {
      const tap = tapOf();
      const content = event({ content: "a" });
      expect(textOf(tap.feed(bytesOf(content + raw + end)))).toBe(content);
      expect(tap.finish()).toBeUndefined();
      expect(tap.error).toEqual({ message: "overloaded", code: "503" });
      expect(tap.errorForwarded).toBe(false);
    }
  });

  it.each(["messages", "gemini", "responses"] as const)(
    "writes nothing in %s that makes a stream with an error look complete",
    (dialect) => {
      const options = {
        model: "m1",
        id: "r1",
        createdS: 0,
        usage: true,
        promptTokens: 1,
        version: undefined,
        asked: {},
      };
      const tap = tapOf({ writer: STREAM_DIALECTS[dialect].writer(options) });
      expect(textOf(tap.feed(bytesOf(event({ content: "a" }))))).toContain('"a"');
      const error = 'data: {"error":{"message":"boom"}}\n\n';
      expect(tap.feed(bytesOf(error + event({}, "stop") + USAGE + DONE))).toBeUndefined();
      expect(tap.finish()).toBeUndefined();
      expect(tap.error).toEqual({ message: "boom" });
      expect(tap.errorForwarded).toBe(false);
    },
  );

  it("takes error null for no error", () => {
    const tap = tapOf();
    tap.feed(bytesOf('data: {"error":null,"choices":[{"delta":{"content":"a"}}]}\n\n'));
    tap.feed(bytesOf('data: {"error":null,"choices":[{"delta":{"content":"a"}}]}\n\n'));
    expect(tap).toMatchObject({ error: undefined, contentEvents: 2 });
  });
});
