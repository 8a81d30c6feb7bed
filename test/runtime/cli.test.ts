import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { type Command, end, run, start } from "./command.ts";
import { SOURCE } from "./program.ts";

const folder = mkdtempSync(join(tmpdir(), "gridpoint-cli-"));
const EXAMPLE = fileURLToPath(new URL("../../edge/deploy/example.yaml", import.meta.url));
const started: Command[] = [];

function begin(...args: Parameters<typeof start>): Command {
  const command = start(...args);
  started.push(command);
  return command;
}

function fileWith(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

afterEach(async () => {
  await Promise.all(started.splice(0).map(end));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** A port that is taken until `close`. */
async function busyPort() {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

describe("help and usage", () => {
  test("the root's help names every command, and no arguments show it", async () => {
    const [help, none] = await Promise.all([run(["--help"]), run([])]);
    expect(help.code).toBe(0);
    expect(none).toEqual(help);
    const names = ["serve", "check", "engine", "ca", "top", "demo"];
    for (const name of names) expect(help.output).toContain(name);
  });

  test.each([
    ["serve", "--config"],
    ["check", "--json"],
    ["engine", "--profile"],
    ["ca", "--grid"],
    ["top", "--json"],
    ["demo", "--port"],
  ])("%s --help shows %s", async (name, option) => {
    const { code, output } = await run([name, "--help"]);
    expect(code).toBe(0);
    expect(output).toContain(option);
  });

  test("--version is the package's", async () => {
    const file = new URL("../../package.json", import.meta.url);
    const { version } = JSON.parse(readFileSync(file, "utf8")) as { version: string };
    expect(await run(["--version"])).toEqual({ code: 0, output: `${version}\n` });
  });

  test.each([
    [["srve"], /Unknown command "srve".*serve, check, engine, ca, top.*Did you mean "serve"/],
    [["--prot"], /Unknown option "--prot"/],
    [["serve", "--prot", "1"], /--config, --check, --host, --port, --proc.*Did you mean --port/],
    [["serve"], /--config FILE is missing/],
    [
      ["serve", "--config", "x", "--port", "99999"],
      /--port must be a whole number from 0 to 65535/,
    ],
    [["check"], /FILE is missing/],
    [["check", "a", "b"], /"b" is not expected/],
    [["demo", "--port", "-1"], /--port/],
    [["ca", "renew"], /gridpoint ca init, or gridpoint ca issue/],
    [["ca", "init", "--dir", "x"], /--grid ID is missing/],
    [["ca", "issue", "--dir", "x", "--pop", "a b"], /--pop must be 1 to 64/],
    [["top", "--url", "10.0.0.1"], /--url must be a URL/],
  ])("%j is refused with 2 and names what is allowed", async (args, message) => {
    const { code, output } = await run(args);
    expect(code).toBe(2);
    expect(output).toMatch(message);
    expect(output).not.toContain("    at ");
  });
});

describe("check", () => {
  const bad = "pop:\n  id: a b\nlistn: {}\n";

  test("says that a good file is fine", async () => {
    const { code, output } = await run(["check", EXAMPLE]);
    expect(code).toBe(0);
    expect(output).toContain("fine, PoP berlin-1 (edge), 5 endpoints");
  });

  test("names every problem of a bad one with its line, also before serving", async () => {
    const file = fileWith("bad.yaml", bad);
    const [checked, served, servedCheck] = await Promise.all([
      run(["check", file]),
      run(["serve", "--config", file]),
      run(["serve", "--config", file, "--check"]),
    ]);
    expect(checked.code).toBe(1);
    expect(checked.output).toContain(`${file}:2: pop.id expected 1 to 64 letters`);
    expect(checked.output).toContain(`${file}:3: listn is not a known key`);
    expect(checked.output).toContain("2 problems");
    expect(served).toEqual(checked);
    expect(servedCheck).toEqual(checked);
  });

  test("--json is one object for machines", async () => {
    const file = fileWith("bad-too.yaml", bad);
    const { code, output } = await run(["check", file, "--json"]);
    expect(code).toBe(1);
    const outcome = JSON.parse(output);
    expect(outcome).toMatchObject({ ok: false, file });
    expect(outcome.problems.map(({ path, line }: never) => [path, line])).toEqual([
      ["pop.id", 2],
      ["listn", 3],
    ]);
  });

  test("the files that a config names are read, too", async () => {
    const tls = "tls: { cert: no.pem, key: no.key }";
    const identity = "certificate: no.cert, key: no.id, roots: no.pub";
    const file = fileWith("names.yaml", `listen: { ${tls} }\ngossip: { grid: g, ${identity} }\n`);
    const { code, output } = await run(["check", file]);
    expect(code).toBe(1);
    expect(output).toContain(`${file}: listen.tls.cert ${join(folder, "no.pem")} cannot be read`);
    expect(output).toContain(`${file}: gossip.key ${join(folder, "no.id")} cannot be read`);
    expect(output).toContain("2 problems");
  });

  test("a file that is not there is a problem, not a stack", async () => {
    const { code, output } = await run(["check", join(folder, "none.yaml")]);
    expect(code).toBe(1);
    expect(output).toContain("cannot be read: ENOENT");
    expect(output).not.toContain("    at ");
  });
});

// From source, as whoever works on Gridpoint runs it.
const sources = { script: SOURCE };

describe("serve", () => {
  test("serves, reloads good files, keeps the old config on bad ones, and drains", async () => {
    const text = (id: string) => `log: { format: json }\nslo: { ttftMs: ${id} }\n`;
    const file = fileWith("pop.yaml", text("1000"));
    const command = begin(["serve", "--config", file, "--port", "0"], sources);
    const [, url] = await command.said(/listening on (http:\/\/\S+)/);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    // No endpoint can serve: alive, and honest about not being ready.
    expect((await fetch(`${url}/readyz`)).status).toBe(503);

    writeFileSync(file, text("2000"));
    const [line] = await command.said(/\{.*"event":"reloaded".*\}/);
    expect(JSON.parse(line).changed).toContain("slo");

    writeFileSync(file, text("never"));
    await command.said(/"event":"config".*slo\.ttftMs/);
    await command.said(/"event":"reload-refused"/);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);

    writeFileSync(file, text("3000"));
    await command.said(/"event":"reloaded"/, command.output().length);
    const offset = command.output().length;
    command.process.kill("SIGHUP");
    await command.said(/"event":"reloaded"/, offset);

    const key = `{ sha256: "${"a".repeat(64)}", tenant: t }`;
    writeFileSync(file, `${text("3000")}auth: { keys: [${key}] }\n`);
    await command.said(/"event":"reloaded","changed":"auth"/);
    // A file cut off in the middle, and one that is there and no more.
    writeFileSync(file, text("3000"));
    await command.said(/"event":"reload-refused","gone":"auth.keys"/);
    writeFileSync(file, "");
    await command.said(/"event":"config".*is empty/);
    expect((await fetch(`${url}/v1/models`)).status).toBe(401);

    command.process.kill("SIGTERM");
    expect(await command.exited).toBe(0);
    expect(command.output()).toMatch(/"event":"stopped".*"outcome":"drained"/);
  });

  test.each([["serve"], ["demo"]])(
    "%s on a busy port says which and how to choose",
    async (name) => {
      const taken = await busyPort();
      const file = fileWith("empty.yaml", "{}\n");
      const config = name === "serve" ? ["--config", file] : [];
      const { code, output } = await run([name, ...config, "--port", String(taken.port)], sources);
      taken.close();
      expect(code).toBe(1);
      expect(output).toContain(`port ${taken.port} on 127.0.0.1 is in use`);
      expect(output).toContain("--port");
      expect(output).not.toContain("    at ");
    },
  );

  test("an address of another machine is named", async () => {
    const file = fileWith("away.yaml", "listen: { host: 192.0.2.1, port: 0 }\n");
    const { code, output } = await run(["serve", "--config", file]);
    expect(code).toBe(1);
    expect(output).toContain("192.0.2.1 is no address of this machine");
  });
});

describe("ca and top", () => {
  test("an authority is made once; a certificate says what to write in a config", async () => {
    const dir = join(folder, "ca");
    expect((await run(["ca", "init", "--dir", dir, "--grid", "g"])).code).toBe(0);
    const again = await run(["ca", "init", "--dir", dir, "--grid", "g"]);
    expect(again.code).toBe(1);
    expect(again.output).toContain("is there already");
    const issued = await run(["ca", "issue", "--dir", dir, "--pop", "berlin-1"]);
    expect(issued.code).toBe(0);
    const section = issued.output.slice(issued.output.indexOf("gossip:"));
    const file = fileWith("issued.yaml", `pop: { id: berlin-1 }\n${section}`);
    expect((await run(["check", file])).output).toContain("fine, PoP berlin-1");
    const none = await run(["ca", "issue", "--dir", join(folder, "no-ca"), "--pop", "x"]);
    expect(none).toMatchObject({ code: 1, output: expect.stringContaining("cannot be read") });
  });

  test("a certificate of another PoP stops the start with one line", async () => {
    const dir = join(folder, "ca-2");
    await run(["ca", "init", "--dir", dir, "--grid", "g"]);
    const { output } = await run(["ca", "issue", "--dir", dir, "--pop", "a"]);
    const section = output.slice(output.indexOf("gossip:"));
    const file = fileWith("other.yaml", `pop: { id: b }\nlisten: { port: 0 }\n${section}`);
    const served = await run(["serve", "--config", file]);
    expect(served).toMatchObject({ code: 1, output: expect.stringContaining('pop.id "b"') });
    expect(served.output).not.toContain("    at ");
  });

  test("top shows a PoP alone, as a table and as JSON, and says when nobody answers", async () => {
    const file = fileWith("alone.yaml", "pop: { id: alone }\nlisten: { port: 0 }\n");
    const [, url] = await begin(["serve", "--config", file]).said(/listening on (http:\/\/\S+)/);
    const [once, json, watching] = [
      await run(["top", "--url", url, "--once"]),
      await run(["top", "--url", url, "--json"]),
      begin(["top", "--url", url, "--interval-ms", "100"]),
    ];
    expect(once.output).toContain("grid as alone sees it: 1 of 1 PoPs");
    expect(JSON.parse(json.output)).toMatchObject({ pop: "alone", pops: [{ id: "alone" }] });
    await watching.said(/1 of 1 PoPs[\s\S]*1 of 1 PoPs/);
    watching.process.kill("SIGINT");
    expect(await watching.exited).toBe(0);
    const nobody = await run(["top", "--url", "http://127.0.0.1:1", "--once"]);
    expect(nobody).toMatchObject({ code: 1, output: expect.stringContaining("no answer from") });
  });
});

describe("demo", () => {
  const alive = (pid: number) => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };

  async function gone(pids: number[]): Promise<number[]> {
    const untilMs = performance.now() + 3_000;
    while (pids.some(alive) && performance.now() < untilMs) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return pids.filter(alive);
  }

  async function demo() {
    const command = begin(["demo", "--port", "0"]);
    const [, seconds] = await command.said(/ready in ([\d.]+) s/);
    const [, url] = await command.said(/base URL +(http:\S+)\/v1/);
    await command.said(/Ctrl-C ends everything/);
    const pids = [...command.output().matchAll(/ pid (\d+)/g)].map(([, pid]) => Number(pid));
    // Three PoPs, four engines.
    expect(pids).toHaveLength(7);
    return { command, seconds: Number(seconds), url, pids };
  }

  test("answers the request that it prints, and ends its engines when asked to", async () => {
    const { command, seconds, url, pids } = await demo();
    expect(seconds).toBeLessThan(8);
    const top = await run(["top", "--once", "--url", url]);
    expect(top.output).toContain("grid as tokyo sees it: 3 of 3 PoPs");
    const [, printed] = await command.said(/-d '(\{"model":"demo-8b","stream":true.*\})'/);
    const body = JSON.stringify({ ...JSON.parse(printed), max_tokens: 3 });
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${url}/v1/chat/completions`, { method: "POST", headers, body });
    expect(answer.headers.get("x-grid-route")).toMatch(/endpoint=(edge|regional|core)-1/);
    expect(await answer.text()).toMatch(/data: \{.*data: \[DONE\]/s);
    // What only the core has is handed over to it, from the edge as well.
    const big = JSON.stringify({ ...JSON.parse(printed), model: "demo-70b", max_tokens: 3 });
    const far = await fetch(`${url}/v1/chat/completions`, { method: "POST", headers, body: big });
    expect(far.headers.get("x-grid-route")).toMatch(/endpoint=oregon\/core-1.*hops=1/);
    expect(await far.text()).toMatch(/data: \[DONE\]/);
    await command.said(/oregon\/core-1 served 1 of tokyo/);
    command.process.kill("SIGINT");
    expect(await command.exited).toBe(0);
    expect(await gone(pids)).toEqual([]);
  });

  test("leaves no engine behind when it is killed", async () => {
    const { command, pids } = await demo();
    await end(command);
    expect(await gone(pids)).toEqual([]);
  });
});
