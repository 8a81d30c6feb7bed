/**
 * What every Transport must do, against real servers on loopback. A transport that cannot do one
 * of them lists it as a deviation with the reason; everything else is the same for all.
 */
import { describe, expect, it } from "vitest";
import { GridError } from "../../src/grid/errors.ts";
import type { Transport } from "../../src/grid/exchange.ts";
import { openHttp, openRaw, pause, Recorder } from "./loopback.ts";
import { CHUNKED, get, post, TransportHarness } from "./transport.harness.ts";

const gone = () => new GridError("client_gone", "The caller left.");

export function transportSuite(name: string, make: () => Transport): void {
  const harness = new TransportHarness(make);
  const { keep, send } = harness;

  describe(`transport ${name}: an answer`, () => {
    it("carries method, path, headers and body there, status, headers and body back", async () => {
      const server = await keep(
        openHttp((request, response) => {
          let body = "";
          request.on("data", (chunk) => (body += chunk));
          request.on("end", () => {
            response.setHeader("X-Two", ["a", "b"]);
            response.writeHead(201, { "Content-Type": "text/plain" });
            const id = request.headers["x-request-id"];
            response.end(`${request.method} ${request.url} ${id} ${body}`);
          });
        }),
      );
      const { recorder } = send(post(server.origin, '{"päth":1}'));
      await recorder.settled;
      expect(recorder.errors).toEqual([]);
      expect(recorder.text()).toBe('POST /v1/chat/completions r1 {"päth":1}');
      expect([recorder.status, recorder.heads, recorder.ends]).toEqual([201, 1, 1]);
      expect(recorder.headers["content-type"]).toBe("text/plain");
      expect(recorder.headers["x-two"]).toBe("a, b");
    });

    it("is whole however it is cut", async () => {
      const text = 'data: {"t":"häppchen 🙂"}\n\n'.repeat(20);
      const wire = Buffer.from(text);
      const server = await keep(
        openRaw(async (socket) => {
          socket.setNoDelay(true);
          const bytes = Buffer.concat([
            Buffer.from(CHUNKED),
            ...[...wire].map((byte) =>
              Buffer.concat([Buffer.from("1\r\n"), Buffer.of(byte), Buffer.from("\r\n")]),
            ),
            Buffer.from("0\r\n\r\n"),
          ]);
          for (let at = 0; at < bytes.length; at += 41) {
            socket.write(bytes.subarray(at, at + 41));
            await new Promise(setImmediate);
          }
        }),
      );
      const { recorder } = send(get(server.origin));
      await recorder.settled;
      expect(recorder.errors).toEqual([]);
      expect(recorder.text()).toBe(text);
      expect(recorder.ends).toBe(1);
    });

    it("has one head, whatever interim heads came before", async () => {
      const server = await keep(
        openHttp((_request, response) => {
          response.writeEarlyHints({ link: "</x>; rel=preload" });
          response.end("ok");
        }),
      );
      const { recorder } = send(get(server.origin));
      await recorder.settled;
      expect([recorder.heads, recorder.status, recorder.text()]).toEqual([1, 200, "ok"]);
    });

    it("may be a redirect, which is not followed", async () => {
      let asked = 0;
      const server = await keep(
        openHttp((_request, response) => {
          asked++;
          response.writeHead(307, { location: "/elsewhere" });
          response.end();
        }),
      );
      const { recorder } = send(post(server.origin));
      await recorder.settled;
      expect([recorder.status, recorder.headers.location, asked]).toEqual([307, "/elsewhere", 1]);
    });

    it("may have no body at all", async () => {
      const server = await keep(
        openHttp((_request, response) => void response.writeHead(204).end()),
      );
      const { recorder } = send(get(server.origin));
      await recorder.settled;
      expect([recorder.status, recorder.bytes, recorder.ends]).toEqual([204, 0, 1]);
    });
  });

  describe(`transport ${name}: abort`, () => {
    /** Aborts at a moment and returns how long the server took to see it, ms. */
    async function cancelAfter(
      moment: (recorder: Recorder, arrived: Promise<void>) => Promise<void>,
      answer: (response: import("node:http").ServerResponse) => void,
    ): Promise<{ ms: number; recorder: Recorder; reason: GridError }> {
      let closedAt = 0;
      let closed = () => {};
      const serverSaw = new Promise<void>((resolve) => {
        closed = resolve;
      });
      let came = () => {};
      const arrived = new Promise<void>((resolve) => {
        came = resolve;
      });
      const server = await keep(
        openHttp((request, response) => {
          request.socket.on("close", () => {
            closedAt = performance.now();
            closed();
          });
          answer(response);
          came();
        }),
      );
      const { recorder, call } = send(post(server.origin));
      await moment(recorder, arrived);
      const reason = gone();
      const from = performance.now();
      call.abort(reason);
      call.abort(gone());
      await serverSaw;
      await pause(10);
      return { ms: closedAt - from, recorder, reason };
    }

    function expectAborted(result: { ms: number; recorder: Recorder; reason: GridError }): void {
      expect(result.ms).toBeLessThan(50);
      expect(result.recorder.errors).toHaveLength(1);
      expect(result.recorder.errors[0]).toBe(result.reason);
      expect(result.recorder.ends).toBe(0);
    }

    it("reaches the server within 50 ms before there is a head", async () => {
      expectAborted(
        await cancelAfter(
          (_recorder, arrived) => arrived,
          () => {},
        ),
      );
    });

    it("reaches it in the silence of prefill, after the head", async () => {
      const result = await cancelAfter(
        (recorder) => recorder.head,
        (response) => {
          response.writeHead(200, { "content-type": "text/event-stream" });
          response.flushHeaders();
        },
      );
      expectAborted(result);
      expect(result.recorder.heads).toBe(1);
    });

    it("reaches it in mid-stream, and nothing is heard afterwards", async () => {
      let timer: NodeJS.Timeout | undefined;
      const result = await cancelAfter(
        (recorder) => recorder.firstData,
        (response) => {
          timer = setInterval(() => response.write("data: {}\n\n"), 1);
        },
      );
      const heard = result.recorder.bytes;
      await pause(20);
      clearInterval(timer);
      expectAborted(result);
      expect(result.recorder.bytes).toBe(heard);
    });

    it("from inside onData is heard once", async () => {
      const server = await keep(
        openHttp((_request, response) => response.end("x".repeat(300_000))),
      );
      const recorder = new Recorder();
      const reason = gone();
      recorder.onData = () => {
        call.abort(reason);
        return true;
      };
      const call = harness.transport.send(get(server.origin), recorder);
      await recorder.settled;
      await pause(10);
      expect(recorder.errors).toEqual([reason]);
      expect(recorder.ends).toBe(0);
    });

    it("right after send is heard once, and the next request is served", async () => {
      const server = await keep(openHttp((_request, response) => response.end("ok")));
      const { recorder, call } = send(get(server.origin));
      const reason = gone();
      call.abort(reason);
      const next = send(get(server.origin));
      await next.recorder.settled;
      await pause(10);
      expect(recorder.errors).toEqual([reason]);
      expect([recorder.heads, next.recorder.text()]).toEqual([0, "ok"]);
    });

    it("after the end changes nothing", async () => {
      const server = await keep(openHttp((_request, response) => response.end("ok")));
      const { recorder, call } = send(get(server.origin));
      await recorder.settled;
      call.abort(gone());
      call.resume();
      expect([recorder.ends, recorder.errors.length]).toEqual([1, 0]);
    });
  });

  describe(`transport ${name}: back-pressure`, () => {
    it("really stops reading, and loses nothing", async () => {
      const total = 32 * 1024 * 1024;
      let written = 0;
      const server = await keep(
        openHttp((_request, response) => {
          const piece = Buffer.alloc(64 * 1024, 97);
          const more = () => {
            while (written < total) {
              written += piece.length;
              if (!response.write(piece)) {
                response.once("drain", more);
                return;
              }
            }
            response.end();
          };
          more();
        }),
      );
      const recorder = new Recorder();
      recorder.flowing = false;
      const { call } = send(get(server.origin), recorder);
      await recorder.firstData;
      await pause(100);
      const heard = recorder.bytes;
      const sent = written;
      await pause(100);
      expect(recorder.bytes).toBe(heard);
      expect(written).toBe(sent);
      expect(sent).toBeLessThan(total);
      recorder.flowing = true;
      call.resume();
      await recorder.settled;
      expect([recorder.bytes, recorder.ends, recorder.errors.length]).toEqual([total, 1, 0]);
    });

    it("can be aborted while it holds", async () => {
      const server = await keep(
        openHttp((_request, response) => void response.end(Buffer.alloc(4 * 1024 * 1024))),
      );
      const recorder = new Recorder();
      recorder.flowing = false;
      const { call } = send(get(server.origin), recorder);
      await recorder.firstData;
      const reason = gone();
      call.abort(reason);
      call.resume();
      await pause(20);
      expect(recorder.errors).toEqual([reason]);
      expect(recorder.ends).toBe(0);
    });
  });
}
