import { describe, expect, it } from "vitest";
import { findJsonFault, findUtf8Fault } from "../../../src/task/json-scan.ts";

describe("findJsonFault", () => {
  it.each([
    "{}",
    "[]",
    ' {"a":[1,-0.5e+3,true,false,null,"\\u00e9\\n"],"b":{}} \r\n\t',
    '"text"',
    "0",
  ])("finds nothing wrong with %j", (text) => {
    expect(() => JSON.parse(text)).not.toThrow();
    expect(findJsonFault(text)).toBeUndefined();
  });

  it.each([
    ["", 1, "it is empty"],
    ["{", 2, "ends inside an object"],
    ["[1,", 4, "ends inside an array"],
    ["[1,]", 4, "comma too much"],
    ['{"a":1,}', 8, "expected a key in double quotation marks but found '}'"],
    ["{'a':1}", 2, "found '''"],
    ["{a:1}", 2, "found 'a'"],
    ['{"a" 1}', 6, "expected ':'"],
    ['{"a":1 "b":2}', 8, "expected ',' or '}'"],
    ["[1 2]", 4, "expected ',' or ']'"],
    ["[1}", 3, "expected ',' or ']'"],
    ["[Infinity]", 2, "found 'Infinity'"],
    ["[01]", 3, "expected ',' or ']'"],
    ["{} x", 4, "expected nothing after"],
    ['["a', 2, "has no end"],
    ['["a\nb"]', 4, "control character"],
    ['["\\x"]', 3, "no such escape"],
    ['["\\u12g4"]', 3, "no such escape"],
    ["/* c */ {}", 1, "found '/'"],
  ])("%j: column %i, %s", (text, column, problem) => {
    expect(() => JSON.parse(text)).toThrow();
    const fault = findJsonFault(text);
    expect(fault).toMatchObject({ line: 1, column });
    expect(fault?.problem).toContain(problem);
  });

  it("counts lines, and shows no more than a word of the text", () => {
    const fault = findJsonFault(`{\n "a": 1,\n  ${"secret".repeat(20)}\n}`);
    expect(fault).toMatchObject({ line: 3, column: 3 });
    expect(fault?.problem.length).toBeLessThan(80);
  });
});

describe("findUtf8Fault", () => {
  it.each([
    [[0x61, 0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x91, 0x8b], -1],
    [[0x61, 0xff], 1],
    [[0x61, 0x80], 1],
    [[0xc0, 0xaf], 0], // overlong
    [[0xe0, 0x80, 0xaf], 0], // overlong
    [[0xed, 0xa0, 0x80], 0], // surrogate
    [[0xf4, 0x90, 0x80, 0x80], 0], // past U+10FFFF
    [[0x61, 0xe2, 0x82], 1], // cut
    [[0xe2, 0x28, 0xa1], 0],
    [[0xe2, 0x82, 0x28], 0],
  ])("%j: %i", (bytes, at) => {
    const given = Uint8Array.from(bytes);
    const decode = (): string => new TextDecoder("utf-8", { fatal: true }).decode(given);
    if (at < 0) expect(decode).not.toThrow();
    else expect(decode).toThrow();
    expect(findUtf8Fault(given)).toBe(at);
  });
});
