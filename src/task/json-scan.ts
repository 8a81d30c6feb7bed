/**
 * Says where JSON is broken, for people: line, column and what stands there. The engines of the
 * runtimes word their own SyntaxError each in another way, some without a position, and some quote
 * the text, which may be a prompt. This scan runs only on bodies that JSON.parse refused. It keeps
 * its own stack, so depth costs bytes and never recursion (RFC 8259).
 */

export interface JsonFault {
  /** From 1, in characters of the text. */
  line: number;
  column: number;
  /** What is wrong there: "expected a value but found 'N'". */
  problem: string;
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const WORD = /[A-Za-z_$][A-Za-z0-9_$]*/y;
const ESCAPES = '"\\/bfnrt';
const WORD_SHOWN = 16;

/** What the scan expects next. */
type Want = "value" | "first-value" | "key" | "first-key" | "colon" | "comma" | "end";

class Fault {
  readonly at: number;
  readonly problem: string;
  constructor(at: number, problem: string) {
    this.at = at;
    this.problem = problem;
  }
}

class Scan {
  private readonly text: string;
  private at = 0;
  private want: Want = "value";
  /** Open containers, innermost last: 1 object, 0 array. */
  private stack = new Uint8Array(64);
  private depth = 0;

  constructor(text: string) {
    this.text = text;
  }

  /** The first fault, or undefined when the text is JSON. */
  run(): Fault | undefined {
    for (;;) {
      this.skipSpace();
      if (this.at >= this.text.length) {
        return this.want === "end" ? undefined : new Fault(this.at, this.endProblem());
      }
      const fault = this.step(this.text[this.at]);
      if (fault !== undefined) return fault;
    }
  }

  private step(letter: string): Fault | undefined {
    switch (this.want) {
      case "value":
        return this.value(letter);
      case "first-value":
        return letter === "]" ? this.close(0) : this.value(letter);
      case "first-key":
        return letter === "}" ? this.close(1) : this.key(letter);
      case "key":
        return this.key(letter);
      case "colon":
        if (letter !== ":") return this.found("expected ':' after the key");
        this.at++;
        this.want = "value";
        return undefined;
      case "comma":
        return this.comma(letter);
      default:
        return this.found("expected nothing after the end of the body");
    }
  }

  private value(letter: string): Fault | undefined {
    if (letter === "{" || letter === "[") return this.open(letter === "{" ? 1 : 0);
    if (letter === '"') {
      const fault = this.string();
      if (fault === undefined) this.afterValue();
      return fault;
    }
    if (letter === "]" || letter === "}") {
      return this.found("expected a value (is there a comma too much before it?)");
    }
    NUMBER.lastIndex = this.at;
    if (NUMBER.test(this.text)) {
      this.at = NUMBER.lastIndex;
      this.afterValue();
      return undefined;
    }
    for (const word of ["true", "false", "null"]) {
      if (!this.text.startsWith(word, this.at)) continue;
      this.at += word.length;
      this.afterValue();
      return undefined;
    }
    return this.found("expected a value");
  }

  private key(letter: string): Fault | undefined {
    if (letter !== '"') return this.found("expected a key in double quotation marks");
    const fault = this.string();
    if (fault === undefined) this.want = "colon";
    return fault;
  }

  private comma(letter: string): Fault | undefined {
    const inObject = this.stack[this.depth - 1];
    if (letter === (inObject === 1 ? "}" : "]")) return this.close(inObject);
    if (letter !== ",") return this.found(`expected ',' or '${inObject === 1 ? "}" : "]"}'`);
    this.at++;
    this.want = inObject === 1 ? "key" : "value";
    return undefined;
  }

  private string(): Fault | undefined {
    const start = this.at++;
    for (; this.at < this.text.length; this.at++) {
      const code = this.text.charCodeAt(this.at);
      if (code === 0x22) {
        this.at++;
        return undefined;
      }
      if (code < 0x20) {
        return new Fault(this.at, "a control character in a string must be escaped (\\n, \\t)");
      }
      if (code !== 0x5c) continue;
      const fault = this.escape();
      if (fault !== undefined) return fault;
    }
    return new Fault(start, "the string that starts here has no end");
  }

  /** Stands on the backslash before and on the last character of the escape after. */
  private escape(): Fault | undefined {
    const start = this.at++;
    if (this.text[this.at] === "u") {
      if (/^[0-9a-fA-F]{4}$/.test(this.text.slice(this.at + 1, this.at + 5))) {
        this.at += 4;
        return undefined;
      }
    } else if (this.at >= this.text.length || ESCAPES.includes(this.text[this.at])) {
      return undefined;
    }
    return new Fault(start, "no such escape in a JSON string");
  }

  private open(kind: 0 | 1): undefined {
    if (this.depth === this.stack.length) {
      const grown = new Uint8Array(this.stack.length * 2);
      grown.set(this.stack);
      this.stack = grown;
    }
    this.stack[this.depth++] = kind;
    this.at++;
    this.want = kind === 1 ? "first-key" : "first-value";
  }

  private close(kind: number): Fault | undefined {
    if (this.stack[this.depth - 1] !== kind) return this.found("this bracket closes nothing");
    this.depth--;
    this.at++;
    this.afterValue();
    return undefined;
  }

  private afterValue(): void {
    this.want = this.depth === 0 ? "end" : "comma";
  }

  private skipSpace(): void {
    for (; this.at < this.text.length; this.at++) {
      const code = this.text.charCodeAt(this.at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
    }
  }

  private endProblem(): string {
    if (this.depth === 0) return "it is empty";
    const open = this.stack[this.depth - 1] === 1 ? "an object" : "an array";
    return `it ends inside ${open}`;
  }

  /** Shows at most one word, so that no prompt gets into an error. */
  private found(expected: string): Fault {
    WORD.lastIndex = this.at;
    const word = WORD.exec(this.text)?.[0];
    const shown = word ?? String.fromCodePoint(this.text.codePointAt(this.at) ?? 0);
    return new Fault(this.at, `${expected} but found '${shown.slice(0, WORD_SHOWN)}'`);
  }
}

/** Where and how `text` is not JSON; undefined when it is. */
export function findJsonFault(text: string): JsonFault | undefined {
  const fault = new Scan(text).run();
  if (fault === undefined) return undefined;
  let line = 1;
  let lineStart = 0;
  for (let at = text.indexOf("\n"); at >= 0 && at < fault.at; at = text.indexOf("\n", at + 1)) {
    line++;
    lineStart = at + 1;
  }
  return { line, column: fault.at - lineStart + 1, problem: fault.problem };
}

/** Bytes of the sequence that starts with `lead`, or 0 when no sequence does. */
function sequenceLength(lead: number): number {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if (lead >= 0xe0 && lead <= 0xef) return 3;
  return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

/** Range of the second byte: it excludes overlong forms, surrogates and what is past U+10FFFF. */
function secondIsValid(lead: number, second: number): boolean {
  if (lead === 0xe0) return second >= 0xa0 && second <= 0xbf;
  if (lead === 0xed) return second >= 0x80 && second <= 0x9f;
  if (lead === 0xf0) return second >= 0x90 && second <= 0xbf;
  if (lead === 0xf4) return second >= 0x80 && second <= 0x8f;
  return (second & 0xc0) === 0x80;
}

/** Offset of the first byte that is not UTF-8 (Unicode 16, table 3-7); -1 when all of it is. */
export function findUtf8Fault(bytes: Uint8Array): number {
  let at = 0;
  while (at < bytes.length) {
    const lead = bytes[at];
    const length = sequenceLength(lead);
    if (length === 0 || at + length > bytes.length) return at;
    if (length > 1 && !secondIsValid(lead, bytes[at + 1])) return at;
    for (let i = 2; i < length; i++) if ((bytes[at + i] & 0xc0) !== 0x80) return at;
    at += length;
  }
  return -1;
}
