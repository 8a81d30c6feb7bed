/** TLS on a PoP's own port: door, gossip and hand-over, between real processes. */
import { writeFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { connect } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePorts } from "./free-ports.ts";
import { type GridProcess, makeGrid } from "./grid-process.ts";
import { eventually, type ServerProcess, startEngine } from "./pop-process.ts";
import { type SelfSigned, selfSigned } from "./self-signed.ts";

let grid: GridProcess;
let engine: ServerProcess;
let ports: number[];
let own: SelfSigned;
const pops: ServerProcess[] = [];

/** The config of a PoP whose port speaks TLS; `ca`: whom it trusts. */
function secured(index: number, ca: string, change: object = {}): object {
  const { folder } = grid;
  return {
    listen: {
      host: "127.0.0.1",
      port: ports[index],
      tls: { cert: file("cert"), key: file("key") },
    },
    peers: { open: true, ca },
    gossip: {
      grid: "test",
      certificate: join(folder, `p${index}.cert`),
      key: join(folder, `p${index}.key`),
      roots: join(folder, "roots.pub"),
      seeds: [`wss://127.0.0.1:${ports[0]}`],
    },
    ...change,
  };
}

const file = (name: string) => join(grid.folder, `tls.${name}.pem`);

interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

function ask(port: number, path: string, body?: object): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, path, ca: own.cert, agent: false as const };
    const headers = { "content-type": "application/json" };
    const sent = request(
      { ...options, headers, method: body === undefined ? "GET" : "POST" },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part: string) => (text += part));
        const { statusCode: status = 0, headers: got } = response;
        response.on("end", () => resolve({ status, headers: got as never, body: text }));
      },
    );
    sent.on("error", reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

interface State {
  pops: { id: string; state: string; routable: boolean }[];
}

const state = async (index: number): Promise<State> =>
  JSON.parse((await ask(ports[index], "/grid/state")).body) as State;

const sees = async (index: number, id: string) =>
  (await state(index)).pops.some((pop) => pop.id === id && pop.routable);

beforeAll(async () => {
  grid = await makeGrid(3);
  ports = await freePorts(3);
  own = selfSigned();
  writeFileSync(file("cert"), own.cert);
  writeFileSync(file("key"), own.key, { mode: 0o600 });
  writeFileSync(file("other"), selfSigned().cert);
  engine = await startEngine("--profile", "l40s-8b", "--model", "m");
  pops.push(await grid.start(0, secured(0, file("cert")) as never));
  const endpoints = [{ id: "e", url: engine.base, engine: "vllm", models: ["m"] }];
  pops.push(await grid.start(1, secured(1, file("cert"), { endpoints }) as never));
});

afterAll(async () => {
  await grid?.close();
  await engine?.kill("SIGKILL");
});

describe("two PoPs whose ports speak TLS", () => {
  test("say so, and meet over wss", async () => {
    for (const pop of pops) expect(pop.base).toMatch(/^https:/);
    await eventually("both see each other", async () => {
      return (await sees(0, "p1")) && (await sees(1, "p0"));
    });
  });

  test("tell whoever scrapes them of the grid, and when their certificates run out", async () => {
    const page = (await ask(ports[0], "/metrics")).body;
    const value = (series: string) => Number(page.split(`\n${series} `)[1]?.split("\n")[0]);
    expect(value('gridpoint_pops{state="alive"}')).toBe(1);
    expect(value('gridpoint_pops{state="down"}')).toBe(0);
    for (const certificate of ["tls", "gossip"]) {
      const name = "gridpoint_certificate_expiry_timestamp_seconds";
      const leftS = value(`${name}{certificate="${certificate}"}`) - Date.now() / 1_000;
      expect(leftS).toBeGreaterThan(60);
      expect(leftS).toBeLessThan(400 * 86_400);
    }
  });

  test("hand a request over, from https to https", async () => {
    const body = { model: "m", max_tokens: 3, messages: [{ role: "user", content: "hello" }] };
    const answer = await eventually("the engine of p1 serves at p0", async () => {
      const tried = await ask(ports[0], "/v1/chat/completions", body);
      return tried.status === 200 ? tried : undefined;
    });
    expect(answer.headers["x-grid-route"]).toContain("hops=1");
    expect(answer.body).toContain('"choices"');
  });

  test("end what speaks no TLS, or a version from before 1.2, and live", async () => {
    await expect(fetch(`http://127.0.0.1:${ports[0]}/healthz`)).rejects.toThrow();
    const old = connect({ host: "127.0.0.1", port: ports[0], ca: own.cert, maxVersion: "TLSv1.1" });
    const code = await new Promise((resolve) => old.once("error", (error) => resolve(error)));
    expect(String(code)).toMatch(/version|protocol|alert|no protocols/i);
    expect((await ask(ports[0], "/healthz")).status).toBe(200);
  });

  test("one that trusts another authority stays out, and says why", async () => {
    const stranger = await grid.start(2, secured(2, file("other")) as never);
    await eventually("why it cannot dial", () => /self-signed certificate/.test(stranger.output));
    expect(stranger.output).toContain("peers.ca");
    expect((await state(2)).pops).toEqual([]);
    expect((await state(0)).pops.map(({ id }) => id)).toEqual(["p1"]);
    await stranger.stop();
  });
});
