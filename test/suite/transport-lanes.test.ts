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

function send({ origin }: Loopback, path = "/") {
  const request: OutRequest = { origin, method: "GET", path, headers: {} };
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
});
