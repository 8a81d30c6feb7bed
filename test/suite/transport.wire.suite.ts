/**
 * The third part of the transport suite: answers at the edges of HTTP/1.1, which decide whether a
 * connection can carry the next call and whose bytes are whose.
 */
import { createHash } from "node:crypto";
import type net from "node:net";
import { describe, expect, it } from "vitest";
import type { Transport } from "../../src/grid/exchange.ts";
import { openHttp, openRaw, pause, Recorder } from "./loopback.ts";
import { CHUNKED, get, post, TransportHarness } from "./transport.harness.ts";

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

export interface WireDeviations {
  /** Why connections are not ours to count or close. */
  sockets?: string;
}

export function transportWireSuite(
  name: string,
  make: () => Transport,
  deviations: WireDeviations = {},
): void {
  const harness = new TransportHarness(make);
  const { keep, send } = harness;

  /** What a call to a server of these bytes came to. */
  async function answerOf(answer: (socket: net.Socket) => void): Promise<Recorder> {
    const server = await keep(openRaw(answer));
    const { recorder } = send(post(server.origin));
    await recorder.settled;
    return recorder;
  }

  describe(`transport ${name}: lengths`, () => {
    it("an answer of no stated length ends with its connection", async () => {
      const recorder = await answerOf((socket) => {
        socket.write("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nhel");
        setTimeout(() => socket.end("lo"), 5);
      });
      expect([recorder.text(), recorder.ends, recorder.errors]).toEqual(["hello", 1, []]);
    });

    it("what came before the other side left is not lost while it holds", async () => {
      const total = 400_000;
      const recorder = new Recorder();
      recorder.flowing = false;
      const server = await keep(
        openRaw((socket) => {
          socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${total}\r\n\r\n${"x".repeat(total)}`);
        }),
      );
      const { call } = send(get(server.origin), recorder);
      await recorder.firstData;
      await pause(30);
      recorder.flowing = true;
      call.resume();
      await recorder.settled;
      expect([recorder.bytes, recorder.ends, recorder.errors]).toEqual([total, 1, []]);
    });

    it("a large body arrives whole at a server that reads slowly", async () => {
      const body = Buffer.alloc(8 * 1024 * 1024);
      for (let i = 0; i < body.length; i += 4) body.writeUInt32LE((i * 2_654_435_761) >>> 0, i);
      const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
      const server = await keep(
        openHttp(async (request, response) => {
          const chunks: Uint8Array[] = [];
          await pause(30);
          for await (const chunk of request) chunks.push(chunk as Uint8Array);
          response.end(digest(Buffer.concat(chunks)));
        }),
      );
      const { recorder } = send({ ...post(server.origin), body });
      await recorder.settled;
      expect([recorder.errors, recorder.text()]).toEqual([[], digest(body)]);
    });

    it("two lengths that differ are an error", async () => {
      const recorder = await answerOf((socket) => {
        socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok?");
      });
      expect([recorder.ends, recorder.errors.length]).toEqual([0, 1]);
    });

    it("a chunk whose size is no number breaks the answer", async () => {
      const recorder = await answerOf((socket) => {
        socket.write(`${CHUNKED}5\r\nhello\r\nzz\r\n`);
      });
      expect([recorder.ends, recorder.errors.length]).toEqual([0, 1]);
      expect(recorder.errors[0].message).toContain("after the response had begun");
    });
  });

  describe(`transport ${name}: heads`, () => {
    it("carry empty values, odd names and bytes beyond ASCII", async () => {
      const recorder = await answerOf((socket) => {
        const head = ["x-empty:", "constructor: c", "x-odd: \xe9", "x-last:   spaced"];
        const text = `HTTP/1.1 200 OK\r\ncontent-length: 2\r\n${head.join("\r\n")}\r\n\r\nok`;
        socket.write(Buffer.from(text, "latin1"));
      });
      expect(recorder.errors).toEqual([]);
      const { headers } = recorder;
      expect([headers["x-empty"], headers["constructor"]]).toEqual(["", "c"]);
      expect([headers["x-odd"], headers["x-last"]]).toEqual(["\xe9", "spaced"]);
    });

    it("longer than 16 KiB are refused", async () => {
      const recorder = await answerOf((socket) => {
        socket.write(`HTTP/1.1 200 OK\r\nx-long: ${"a".repeat(20_000)}\r\n\r\n`);
      });
      expect(recorder.errors.map(({ code }) => code)).toEqual(["bad_response"]);
    });

    it("of a protocol that was not asked for are an error", async () => {
      const recorder = await answerOf((socket) => {
        socket.end("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n");
      });
      expect([recorder.heads, recorder.ends, recorder.errors.length]).toEqual([0, 0, 1]);
    });
  });

  describe(`transport ${name}: the next call`, () => {
    /** Two calls, one after the other, to a server whose first answer is `first`. */
    async function two(
      first: string,
    ): Promise<{ texts: string[]; second: Recorder; connections: number }> {
      const server = await keep(
        openRaw((socket, nth) => void socket.write(nth === 0 ? first : OK)),
      );
      const one = send(get(server.origin)).recorder;
      await one.settled;
      await pause(5);
      const second = send(get(server.origin)).recorder;
      await second.settled;
      const texts = [one.text(), second.text()];
      return { texts, second, connections: server.accepted() };
    }

    it("never gets bytes that came behind an answer", async () => {
      const behind = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad";
      const { texts } = await two(`${OK}${behind}`);
      expect(texts).toEqual(["ok", "ok"]);
    });

    it("never gets the body that a 204 should not have had", async () => {
      const { texts } = await two("HTTP/1.1 204 No Content\r\ncontent-length: 3\r\n\r\nbad");
      expect(texts).toEqual(["", "ok"]);
    });

    it("knows nothing of trailers", async () => {
      const { texts, second } = await two(`${CHUNKED}2\r\nok\r\n0\r\nx-trailer: t\r\n\r\n`);
      expect(texts).toEqual(["ok", "ok"]);
      expect(second.headers).toEqual({ "content-length": "2" });
    });

    it.skipIf(deviations.sockets)("goes elsewhere when the server says close", async () => {
      const { texts, connections } = await two(OK.replace("\r\n", "\r\nconnection: close\r\n"));
      expect([texts, connections]).toEqual([["ok", "ok"], 2]);
    });

    it.skipIf(deviations.sockets)("goes elsewhere when the server will soon close", async () => {
      const hint = "\r\nconnection: keep-alive\r\nkeep-alive: timeout=1\r\n";
      const { texts, connections } = await two(OK.replace("\r\n", hint));
      expect([texts, connections]).toEqual([["ok", "ok"], 2]);
    });

    it.skipIf(deviations.sockets)("takes the same connection otherwise", async () => {
      const { texts, connections } = await two(OK);
      expect([texts, connections]).toEqual([["ok", "ok"], 1]);
    });
  });

  it(`transport ${name}: a name is looked up`, async () => {
    const server = await keep(openRaw((socket) => void socket.write(OK)));
    const { recorder } = send(get(server.origin.replace("127.0.0.1", "localhost")));
    await recorder.settled;
    expect([recorder.errors, recorder.text()]).toEqual([[], "ok"]);
  });
}
