/**
 * What transports over connections of their own promise: bounds on connections and origins, without
 * a leak.
 */
import { afterEach, describe, expect, it } from "vitest";
import type { LanesOptions } from "../../edge/transport-lanes.ts";
import { TcpTransport } from "../../edge/transport-tcp.ts";
import { UndiciTransport } from "../../edge/transport-undici.ts";
import { GridError } from "../../src/grid/errors.ts";
import type { OutRequest, Transport } from "../../src/grid/exchange.ts";
import { type Loopback, openHttp, openRaw, pause, Recorder } from "./loopback.ts";
import { connectNet } from "../../edge/tcp-net.ts";

const MAKERS: [name: string, make: (options: LanesOptions) => Transport][] = [
  ["undici", (options) => new UndiciTransport(options)],
  ["tcp", (options) => new TcpTransport(connectNet, options)],
];

const servers: Loopback[] = [];
let transport: Transport;

async function echo(): Promise<Loopback> {
  const server = await openHttp((request, response) => {
    if (request.url === "/die") request.socket.destroy();
    else if (request.url !== "/hang") response.end("ok");
  });
  servers.push(server);
  return server;
}

function send({ origin }: Loopback, path = "/", more: Partial<OutRequest> = {}) {
  const request: OutRequest = { origin, method: "GET", path, headers: {}, ...more };
  const recorder = new Recorder();
  return { recorder, call: transport.send(request, recorder) };
}

afterEach(async () => {
  await transport.close();
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

describe.each(MAKERS)("lanes of %s", (_, make) => {
  it("refuses calls beyond the connections of an origin, and says so", async () => {
    transport = make({ connectionsMax: 2 });
    const server = await echo();
    const other = await echo();
    const hanging = [send(server, "/hang"), send(server, "/hang")];
    const third = send(server);
    await third.recorder.settled;
    expect(third.recorder.errors.map(({ code, retry }) => [code, retry])).toEqual([
      ["endpoint_busy", "elsewhere"],
    ]);
    const elsewhere = send(other);
    await elsewhere.recorder.settled;
    expect(elsewhere.recorder.text()).toBe("ok");
    hanging[0].call.abort(new GridError("client_gone", "left"));
    const fourth = send(server);
    await fourth.recorder.settled;
    expect(fourth.recorder.text()).toBe("ok");
  });

  it("gets every connection back, however its call ended", async () => {
    transport = make({ connectionsMax: 2 });
    const server = await echo();
    for (let i = 0; i < 30; i++) {
      const { recorder, call } = send(server, ["/", "/die", "/hang"][i % 3]);
      if (i % 3 === 2) {
        if (i % 2 === 0) await pause(5);
        call.abort(new GridError("client_gone", "left"));
      }
      await recorder.settled;
      expect(recorder.errors.map(({ code }) => code)).toEqual(
        [[], ["disconnected"], ["client_gone"]][i % 3],
      );
    }
    await pause(20);
    expect(server.sockets.size).toBeLessThanOrEqual(1);
  });

  it("lets the oldest origin go when there are too many", async () => {
    transport = make({ originsMax: 2 });
    const all = [await echo(), await echo(), await echo()];
    for (const server of all) await send(server).recorder.settled;
    await pause(20);
    expect(all.map(({ sockets }) => sockets.size)).toEqual([0, 1, 1]);
  });

  it("closes what was idle for too long, and not before", async () => {
    transport = make({ keepAliveMs: 400 });
    // It does not say for how long it keeps them.
    const answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    const server = await openRaw((socket) => void socket.write(answer));
    servers.push(server);
    await send(server).recorder.settled;
    await pause(100);
    await send(server).recorder.settled;
    expect([server.accepted(), server.sockets.size]).toEqual([1, 1]);
    await expect.poll(() => server.sockets.size, { timeout: 3_000 }).toBe(0);
  });

  it("takes a new connection when it is told to, also at the bound", async () => {
    transport = make({ connectionsMax: 1 });
    const server = await echo();
    for (const fresh of [false, true, false, true]) {
      const { recorder } = send(server, "/", { fresh });
      await recorder.settled;
      expect(recorder.text()).toBe("ok");
    }
    expect(server.accepted()).toBe(3);
  });

  it("keeps no connection of a server that closes them without a word", async () => {
    transport = make({});
    const uses = new Map<unknown, number>();
    // As llama-server after a stream: what comes on the same connection is lost.
    const server = await openRaw((socket) => {
      const use = (uses.get(socket) ?? 0) + 1;
      uses.set(socket, use);
      if (use > 1) socket.destroy();
      else socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    });
    servers.push(server);
    const ends: string[] = [];
    for (let n = 0; n < 12; n++) {
      const { recorder } = send(server);
      await recorder.settled;
      ends.push(recorder.errors[0]?.retry ?? recorder.text());
      await pause(25);
    }
    const [kept, fresh] = ["ok same ok same ok same", "ok ok ok ok ok ok"];
    expect(ends.join(" ")).toBe(`${kept} ${fresh}`);
  });
});
