/** The bytes are written out from RFC 23 and 37, not made by the code under test. */
import { describe, expect, test } from "vitest";
import {
  ZMTP_LIMITS,
  ZmtpConnection,
  type ZmtpHandler,
  type ZmtpLimits,
  type ZmtpType,
} from "../../../src/kv/zmtp.ts";

const hex = (text: string) => Uint8Array.from(text.match(/../g) ?? [], (two) => parseInt(two, 16));
const ascii = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const toHex = (bytes: Uint8Array) =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");

const SIGNATURE = "ff00000000000000007f";
const NULL_MECHANISM = `4e554c4c${"00".repeat(16)}`;
const greetingOf = (version: string, mechanism = NULL_MECHANISM) =>
  hex(`${SIGNATURE}${version}${mechanism}${"00".repeat(32)}`);
const GREETING = greetingOf("0301");
const SUB = `0b${toHex(ascii("Socket-Type"))}00000003${toHex(ascii("SUB"))}`;
const ROUTER = `0b${toHex(ascii("Socket-Type"))}00000006${toHex(ascii("ROUTER"))}`;
/** READY with Socket-Type, as libzmq 4.3.5 sends it for PUB and ROUTER (with an empty Identity). */
const READY_PUB = hex("041905524541445" + "90b536f636b65742d5479706500000003505542");
const READY_ROUTER = hex(
  `042905${toHex(ascii("READY"))}${ROUTER}08${toHex(ascii("Identity"))}00000000`,
);

class Peer implements ZmtpHandler {
  readonly written: string[] = [];
  readonly messages: string[][] = [];
  readonly topics: string[] = [];
  readies = 0;

  write(bytes: Uint8Array): void {
    this.written.push(toHex(bytes));
  }
  ready(): void {
    this.readies++;
  }
  message(frames: Uint8Array[]): void {
    this.messages.push(frames.map(toHex));
  }
  subscribed(topic: Uint8Array, on: boolean): void {
    this.topics.push(`${on ? "+" : "-"}${toHex(topic)}`);
  }
}

function connect(type: ZmtpType = "SUB", limits: Partial<ZmtpLimits> = {}) {
  const peer = new Peer();
  const zmtp = new ZmtpConnection(type, peer, 0, { ...ZMTP_LIMITS, ...limits });
  return { peer, zmtp };
}

function ready(type: ZmtpType = "SUB", limits: Partial<ZmtpLimits> = {}) {
  const made = connect(type, limits);
  made.zmtp.receive(GREETING, 0);
  made.zmtp.receive(type === "SUB" ? READY_PUB : READY_ROUTER, 0);
  made.peer.written.length = 0;
  return made;
}

describe("the handshake", () => {
  test("greeting and READY go out byte for byte as the RFC draws them", () => {
    const { peer, zmtp } = connect();
    expect(peer.written).toEqual([toHex(GREETING)]);
    zmtp.receive(GREETING, 0);
    const socketType = `0b${toHex(ascii("Socket-Type"))}00000003${toHex(ascii("SUB"))}`;
    expect(peer.written[1]).toBe(`041905${toHex(ascii("READY"))}${socketType}`);
    expect(peer.readies).toBe(0);
    zmtp.receive(READY_PUB, 0);
    expect(peer.readies).toBe(1);
  });

  test("bytes may come one by one", () => {
    const { peer, zmtp } = connect();
    const all = [...GREETING, ...READY_PUB, ...hex("010161"), ...hex("000162")];
    for (const byte of all) zmtp.receive(Uint8Array.of(byte), 0);
    expect(peer.readies).toBe(1);
    expect(peer.messages).toEqual([["61", "62"]]);
  });

  test("a READY with more properties, in any letter case, is taken", () => {
    const { peer, zmtp } = connect("DEALER");
    zmtp.receive(GREETING, 0);
    zmtp.receive(READY_ROUTER, 0);
    expect(peer.readies).toBe(1);
  });

  const refused: [string, Uint8Array[], RegExp][] = [
    ["an HTTP server", [ascii("HTTP/1.1 400 Bad Request\r\n")], /does not speak ZMTP/],
    ["ZMTP 2", [hex(`${SIGNATURE}01`)], /ZMTP 2 or older/],
    ["PLAIN", [greetingOf("0300", `504c41494e${"00".repeat(15)}`)], /mechanism PLAIN; only NULL/],
    ["CURVE", [greetingOf("0301", `4355525645${"00".repeat(15)}`)], /mechanism CURVE/],
    ["a socket of the wrong type", [GREETING, READY_ROUTER], /ROUTER socket; PUB or XPUB/],
    ["an ERROR", [GREETING, hex(`040a05${toHex(ascii("ERROR"))}03${toHex(ascii("no!"))}`)], /no!/],
    ["a message before READY", [GREETING, hex("000161")], /before READY/],
    ["a READY cut short", [GREETING, hex("040705524541445940")], /cut short/],
    ["a command longer than any", [GREETING, hex("060000000000002000")], /at most 4096/],
    ["reserved flags", [GREETING, READY_PUB, hex("080161")], /reserved flags/],
    ["a command in parts", [GREETING, READY_PUB, hex("050161")], /reserved flags/],
    ["a second READY", [GREETING, READY_PUB, READY_PUB], /second time/],
  ];
  test.each(refused)("%s is refused in words", (_, bytes, words) => {
    const { zmtp } = connect();
    expect(() => {
      for (const part of bytes) zmtp.receive(part, 0);
    }).toThrow(words);
  });

  test("one that never ends is given up", () => {
    const { zmtp } = connect();
    zmtp.receive(GREETING, 0);
    zmtp.tick(4_999);
    expect(() => zmtp.tick(5_000)).toThrow(/no ZMTP handshake within 5000 ms/);
  });
});

describe("messages", () => {
  test("short and long frames, several parts", () => {
    const { peer, zmtp } = ready();
    const long = "ab".repeat(300);
    zmtp.receive(hex(`010001020102`), 0);
    zmtp.receive(hex(`02000000000000012c${long}`), 0);
    expect(peer.messages).toEqual([["", "0102", long]]);
  });

  test("what is sent is framed by length: up to 255 short, above long", () => {
    const { peer, zmtp } = ready("DEALER");
    zmtp.send([new Uint8Array(0), new Uint8Array(255), new Uint8Array(256)]);
    const sent = peer.written[0] as string;
    expect(sent.startsWith("010001ff")).toBe(true);
    expect(sent.slice(4 + 4 + 510)).toBe(`020000000000000100${"00".repeat(256)}`);
  });

  test("bounds: frame, frames of a message, bytes of a message", () => {
    const limits = { frameBytes: 100, messageBytes: 150, frames: 3 };
    const over = (...parts: string[]) => {
      const { zmtp } = ready("SUB", limits);
      return () => {
        for (const part of parts) zmtp.receive(hex(part), 0);
      };
    };
    expect(over("0065")).toThrow(/frame of 101 bytes; at most 100/);
    expect(over("02ffffffffffffffff")).toThrow(/at most 100/);
    expect(over("010161", "010161", "010161", "000161")).toThrow(/over 3 frames/);
    const hundred = `64${"00".repeat(100)}`;
    expect(over(`01${hundred}`, `00${hundred}`)).toThrow(/150 bytes/);
    expect(over("010161", "010161", "000161")).not.toThrow();
  });
});

describe("subscriptions and heartbeats", () => {
  test("a 3.1 peer gets the SUBSCRIBE command, a 3.0 peer the message", () => {
    const { peer, zmtp } = ready();
    zmtp.subscribe(ascii("kv"));
    expect(peer.written).toEqual([`040c09${toHex(ascii("SUBSCRIBE"))}6b76`]);
    const old = connect();
    old.zmtp.receive(greetingOf("0300"), 0);
    old.zmtp.receive(READY_PUB, 0);
    old.zmtp.subscribe(ascii("kv"));
    expect(old.peer.written.at(-1)).toBe("0003016b76");
  });

  test("a publisher hears both forms, and both ways back", () => {
    const { peer, zmtp } = connect("PUB");
    zmtp.receive(GREETING, 0);
    zmtp.receive(hex(`041905${toHex(ascii("READY"))}${SUB}`), 0);
    zmtp.receive(hex(`040c09${toHex(ascii("SUBSCRIBE"))}6b76`), 0);
    zmtp.receive(hex("00020161"), 0);
    zmtp.receive(hex("00020061"), 0);
    zmtp.receive(hex(`040906${toHex(ascii("CANCEL"))}6b76`), 0);
    expect(peer.topics).toEqual(["+6b76", "+61", "-61", "-6b76"]);
  });

  test("a PING is answered with its context", () => {
    const { peer, zmtp } = ready();
    zmtp.receive(hex(`040904${toHex(ascii("PING"))}0064abcd`), 0);
    expect(peer.written).toEqual([`040704${toHex(ascii("PONG"))}abcd`]);
  });

  test("silence is pinged, and given up when it lasts", () => {
    const { peer, zmtp } = ready();
    zmtp.tick(1_999);
    expect(peer.written).toEqual([]);
    zmtp.tick(2_000);
    zmtp.tick(2_100);
    expect(peer.written).toEqual([`040704${toHex(ascii("PING"))}0064`]);
    zmtp.receive(hex(`040504${toHex(ascii("PONG"))}`), 7_000);
    zmtp.tick(14_999);
    expect(() => zmtp.tick(15_000)).toThrow(/silent for 8000 ms/);
  });

  test("a peer that talks all the time is pinged, too, within the time that PINGs promise", () => {
    const { peer, zmtp } = ready();
    for (let ms = 0; ms <= 20_000; ms += 500) {
      zmtp.receive(hex("00020161"), ms);
      zmtp.tick(ms);
    }
    // A PING promises the next word within 10 s (0064): libzmq 4.3.5 holds us to it.
    expect(peer.written).toEqual(Array(10).fill(`040704${toHex(ascii("PING"))}0064`));
  });

  test("a 3.0 peer is never pinged: it knows no such command", () => {
    const { peer, zmtp } = connect();
    zmtp.receive(greetingOf("0300"), 0);
    zmtp.receive(READY_PUB, 0);
    peer.written.length = 0;
    zmtp.tick(100_000);
    expect(peer.written).toEqual([]);
  });
});
