import { describe, expect, test } from "vitest";
import {
  decode,
  encode,
  Reader,
  SchemaError,
  utf8Encode,
  type Value,
} from "../../../src/gossip/codec.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const from = (text: string) => new Uint8Array(Buffer.from(text, "hex"));

describe("the forms of the MessagePack specification", () => {
  const forms: [Value, string][] = [
    [null, "c0"],
    [true, "c3"],
    [0, "00"],
    [127, "7f"],
    [128, "cc80"],
    [256, "cd0100"],
    [65536, "ce00010000"],
    [2 ** 32, "cf0000000100000000"],
    [Number.MAX_SAFE_INTEGER, "cf001fffffffffffff"],
    [-1, "ff"],
    [-32, "e0"],
    [-33, "d0df"],
    [-129, "d1ff7f"],
    [-32769, "d2ffff7fff"],
    [-(2 ** 31) - 1, "d3ffffffff7fffffff"],
    [1.5, "cb3ff8000000000000"],
    ["é", "a2c3a9"],
    ["a".repeat(32), `d920${"61".repeat(32)}`],
    [new Uint8Array([1, 2]), "c4020102"],
    [[1, [2]], "92019102"],
  ];
  test.each(forms)("%j is %s", (value, bytes) => {
    expect(hex(encode(value))).toBe(bytes);
    expect(decode(from(bytes))).toEqual(value);
  });
});

describe("what is refused", () => {
  const refused: [string, string][] = [
    ["a map", "80"],
    ["an extension", "d40100"],
    ["float 32", "ca3f800000"],
    ["nothing", ""],
    ["an early end", "cd01"],
    ["a second value", "0101"],
    ["an integer past 2^53", "cf0020000000000000"],
    ["an array longer than the frame", "ddffffffff00"],
    ["bytes longer than the frame", "c6ffffffff00"],
    ["an overlong UTF-8 form", "a2c080"],
    ["a surrogate in UTF-8", "a3eda080"],
    ["a cut UTF-8 sequence", "a1c3"],
    ["nesting past the limit", "919191919191"],
  ];
  test.each(refused)("%s", (_, bytes) => {
    expect(() => decode(from(bytes))).toThrow(SchemaError);
  });

  test("values out of the bounds that a schema states", () => {
    expect(() => new Reader(encode(300)).int(0, 255)).toThrow("integer of 0 to 255");
    expect(() => new Reader(encode("long")).str(0, 3)).toThrow("0 to 3 bytes");
    expect(() => new Reader(encode([1, 2])).array(3, 3)).toThrow("array of 3 to 3");
    expect(() => encode(2 ** 60)).not.toThrow();
  });
});

test("UTF-8 agrees with the platform's encoder", () => {
  const text = "aß語😀\ud800z";
  expect(hex(utf8Encode(text))).toBe(hex(new TextEncoder().encode(text)));
});
