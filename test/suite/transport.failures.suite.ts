/**
 * The second half of the transport suite: what happens when the other side fails, and how many
 * connections it takes.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { describe, expect, it } from "vitest";
import type { GridError } from "../../src/grid/errors.ts";
import type { OutRequest, Transport } from "../../src/grid/exchange.ts";
import { CHUNKED, get, post, TransportHarness } from "./transport.harness.ts";
import { openHttp, openRaw, pause, Recorder } from "./loopback.ts";

export interface Deviations {
  /** Why `connectTimeoutMs` has no effect. */
  connectTimeout?: string;
  /** Why connections are not ours to count or close. */
  sockets?: string;
  /** Why a handler's own failure is not told apart. */
  handlerFailure?: string;
}

export function transportFailureSuite(
  name: string,
  make: () => Transport,
  deviations: Deviations = {},
): void {
  const harness = new TransportHarness(make);
  const { keep, send } = harness;

  describe(`transport ${name}: failures`, () => {
    const failure = async (request: OutRequest): Promise<GridError> => {
      const { recorder } = send(request);
      await recorder.settled;
      await pause(5);
      expect(recorder.ends).toBe(0);
      expect(recorder.errors).toHaveLength(1);
      return recorder.errors[0];
    };

    it("nobody listens: connect_failed", async () => {
      const server = await openHttp(() => {});
      await server.close();
      const error = await failure(post(server.origin));
      expect([error.code, error.retry]).toEqual(["connect_failed", "elsewhere"]);
      expect(error.message).toContain("refused".slice(0, 3).toUpperCase());
    });

    it("the server dies before a byte of the head: disconnected, elsewhere", async () => {
      const server = await keep(openRaw((socket) => void socket.destroy()));
      const error = await failure(post(server.origin));
      expect([error.code, error.retry]).toEqual(["disconnected", "elsewhere"]);
      expect(error.message).toContain("before any byte");
    });

    it("the server resets before a byte of the head: disconnected", async () => {
      const server = await keep(openRaw((socket) => void socket.resetAndDestroy()));
      expect((await failure(post(server.origin))).code).toBe("disconnected");
    });

    it("a kept connection turns out to be stale: an excuse, once", async () => {
      const dying = () =>
        keep(
          openRaw((socket, nth) => {
            if (nth > 0) socket.destroy();
            else socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
          }),
        );
      for (const again of [undefined, true]) {
        const server = await dying();
        const first = send(post(server.origin));
        await first.recorder.settled;
        expect(first.recorder.text()).toBe("ok");
        const error = await failure({ ...post(server.origin), ...(again && { again }) });
        expect(error.code).toBe("disconnected");
        expect(error.message).toContain("before any byte");
        expect(error.retry).toBe(again ? "elsewhere" : "same");
      }
    });

    it("the server dies in the middle of a chunked body: disconnected, never an end", async () => {
      const server = await keep(
        openRaw((socket) => {
          socket.write(`${CHUNKED}5\r\nhello\r\n`, () => socket.destroy());
        }),
      );
      const error = await failure(post(server.origin));
      expect(error.code).toBe("disconnected");
      expect(error.message).toContain("after the response had begun");
    });

    it("the server closes cleanly but short of its content-length: disconnected", async () => {
      const server = await keep(
        openRaw((socket) => void socket.end("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello")),
      );
      expect((await failure(post(server.origin))).code).toBe("disconnected");
    });

    it("the server dies after the end: the answer stands, the next connects anew", async () => {
      const server = await keep(openHttp((_request, response) => response.end("ok")));
      const first = send(get(server.origin));
      await first.recorder.settled;
      for (const socket of server.sockets) socket.destroy();
      await pause(20);
      const second = send(get(server.origin));
      await second.recorder.settled;
      expect([first.recorder.errors, second.recorder.errors]).toEqual([[], []]);
      expect(second.recorder.text()).toBe("ok");
    });

    it("the server does not speak HTTP: an error, and one only", async () => {
      const server = await keep(openRaw((socket) => void socket.end("SSH-2.0-OpenSSH_9.9\r\n")));
      expect(["bad_response", "disconnected"]).toContain((await failure(get(server.origin))).code);
    });

    it("a request that cannot be written fails after send has returned", async () => {
      const server = await keep(openHttp((_request, response) => response.end("ok")));
      const recorder = new Recorder();
      harness.transport.send(get(server.origin, { headers: { "x-bad": "a\r\nb: c" } }), recorder);
      expect(recorder.errors).toHaveLength(0);
      await recorder.settled;
      expect(recorder.errors).toHaveLength(1);
      expect(server.accepted()).toBe(0);
    });

    it.skipIf(deviations.handlerFailure)(
      "a handler that throws is our fault: internal",
      async () => {
        const server = await keep(openHttp((_request, response) => response.end("ok")));
        const recorder = new Recorder();
        recorder.onHead = () => {
          throw new Error("oops");
        };
        harness.transport.send(get(server.origin), recorder);
        await recorder.settled;
        expect(recorder.errors.map((error) => error.code)).toEqual(["internal"]);
      },
    );

    it.skipIf(deviations.connectTimeout)("nobody accepts: connect_timeout", async () => {
      const deaf = await openDeaf();
      try {
        const from = performance.now();
        const error = await failure({ ...post(deaf.origin), connectTimeoutMs: 120 });
        expect([error.code, error.status]).toEqual(["connect_timeout", 504]);
        expect(performance.now() - from).toBeGreaterThan(110);
        expect(performance.now() - from).toBeLessThan(1_000);
      } finally {
        deaf.close();
      }
    });

    it("after close: running calls fail, new ones are refused", async () => {
      const server = await keep(openHttp(() => {}));
      const { recorder } = send(get(server.origin));
      await pause(20);
      await harness.transport.close();
      await recorder.settled;
      expect(recorder.errors.map((error) => error.code)).toEqual(["disconnected"]);
      expect((await failure(get(server.origin))).code).toBe("connect_failed");
    });
  });

  describe.skipIf(deviations.sockets)(`transport ${name}: connections`, () => {
    it("1,000 requests one after another use one connection, and close leaves none", async () => {
      const server = await keep(openHttp((_request, response) => response.end("ok")));
      for (let i = 0; i < 1_000; i++) {
        const { recorder } = send(get(server.origin));
        await recorder.settled;
        expect(recorder.errors).toEqual([]);
      }
      expect(server.accepted()).toBe(1);
      await harness.transport.close();
      await pause(20);
      expect(server.sockets.size).toBe(0);
    });

    it("concurrent calls do not wait for each other", async () => {
      const server = await keep(
        openHttp((request, response) => {
          if (request.url === "/slow") return;
          response.end("ok");
        }),
      );
      const slow = Array.from({ length: 20 }, () => send(get(server.origin, { path: "/slow" })));
      const { recorder } = send(get(server.origin));
      await recorder.settled;
      expect(recorder.text()).toBe("ok");
      expect(slow.every(({ recorder: r }) => r.ends + r.errors.length === 0)).toBe(true);
    });

    it("forget closes the idle ones and leaves the running ones to end", async () => {
      let finish = () => {};
      const server = await keep(
        openHttp((request, response) => {
          if (request.url !== "/slow") response.end("ok");
          else finish = () => void response.end("late");
        }),
      );
      const slow = send(get(server.origin, { path: "/slow" }));
      const quick = send(get(server.origin));
      await quick.recorder.settled;
      harness.transport.forget(server.origin);
      await pause(20);
      expect(server.sockets.size).toBe(1);
      finish();
      await slow.recorder.settled;
      await pause(20);
      expect(slow.recorder.text()).toBe("late");
      expect(server.sockets.size).toBe(0);
    });
  });
}

/** A listener that never accepts, its backlog filled: the next connection attempt hangs. */
async function openDeaf(): Promise<{ origin: string; close(): void }> {
  const script = `
    const server = require("node:net").createServer().listen(
      { port: 0, host: "127.0.0.1", backlog: 1 },
      () => {
        require("node:fs").writeSync(1, String(server.address().port) + "\\n");
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      },
    );`;
  // Another runtime's server may take more than its backlog says.
  const node = process.env["GRIDPOINT_NODE"] ?? process.execPath;
  const child = spawn(node, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  const [first] = (await once(child.stdout, "data")) as [Buffer];
  const port = Number(first.toString());
  const fillers: net.Socket[] = [];
  for (let connected = true; connected && fillers.length < 16; ) {
    const socket = net.connect(port, "127.0.0.1").on("error", () => {});
    fillers.push(socket);
    connected = await Promise.race([
      once(socket, "connect").then(() => true),
      pause(150).then(() => false),
    ]);
  }
  return {
    origin: `http://127.0.0.1:${port}`,
    close: () => {
      for (const socket of fillers) socket.destroy();
      child.kill("SIGKILL");
    },
  };
}
