import { describe, expect, test } from "vitest";
import { type PopConfig, parseConfig } from "../../src/config.ts";
import { fillFromEnvironment } from "../../src/environment.ts";
import { DEFAULT_WEIGHTS } from "../../src/kernel/weights.ts";
import { nearest } from "../../src/knob.ts";

const SHA = "a".repeat(64);

function fine(raw: unknown, environment = {}): PopConfig {
  const parsed = parseConfig(raw, environment);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.config;
}

/** Path to message of everything that is wrong. */
function wrong(raw: unknown, environment = {}): Record<string, string> {
  const parsed = parseConfig(raw, environment);
  if (parsed.ok) throw new Error("expected problems");
  return Object.fromEntries(parsed.problems.map(({ path, message }) => [path, message]));
}

describe("KV events of an endpoint", () => {
  const at = (kvEvents: unknown) => ({
    endpoints: [{ id: "a", url: "http://10.0.0.11:8000", kvEvents }],
  });

  test("left out they are not followed; url is all it takes", () => {
    expect(fine(at(undefined)).endpoints[0]?.kvEvents).toBeUndefined();
    const url = "tcp://10.0.0.11:5557";
    expect(fine(at({ url })).endpoints[0]?.kvEvents).toEqual({ url, topic: "", ranks: 1 });
    const replay = "tcp://[fd00::1]:5558";
    expect(fine(at({ url, replay, topic: "kv", ranks: 8 })).endpoints[0]?.kvEvents).toEqual({
      ...{ url, replay, topic: "kv", ranks: 8 },
    });
  });

  test("what is wrong is named", () => {
    const path = "endpoints[0].kvEvents";
    const problem = (kvEvents: unknown) => wrong(at(kvEvents));
    for (const url of [
      "tcp://*:5557",
      "tcp://0.0.0.0:5557",
      "http://h:1",
      "tcp://h",
      "tcp://h:0",
    ]) {
      expect(problem({ url })[`${path}.url`]).toMatch(/expected tcp:\/\/host:port/);
    }
    expect(problem({})[`${path}.url`]).toMatch(/is missing/);
    expect(problem({ url: "tcp://h:1", ranks: 0 })[`${path}.ranks`]).toMatch(/from 1 to 64/);
    expect(problem({ url: "tcp://h:65535", ranks: 2 })[path]).toMatch(/rank above port 65535/);
    expect(problem({ url: "tcp://h:1", topic: "ä" })[`${path}.topic`]).toMatch(/ASCII/);
    expect(problem({ url: "tcp://h:1", replays: 1 })[`${path}.replays`]).toMatch(/"replay"/);
    expect(problem("tcp://h:1")[path]).toMatch(/expected a section/);
  });
});

describe("what is left out", () => {
  test("nothing at all is a PoP on loopback without endpoints", () => {
    const config = fine(undefined);
    expect(config.listen).toEqual({ host: "127.0.0.1", port: 8801 });
    expect(config.endpoints).toEqual([]);
    expect(config.limits.bodyBytes).toBe(32 * 1024 * 1024);
    expect(config.timeouts.firstTokenMs).toBe(120_000);
    expect(config.kernel).toEqual({
      rows: 256,
      chunkBytes: 512,
      indexBytes: 64 * 1024 * 1024,
      promptBytesMax: 4 * 1024 * 1024,
      digestBytes: 16 * 1024 * 1024,
    });
    expect(config.weights).toEqual(DEFAULT_WEIGHTS);
    expect(config).toEqual(fine({}));
  });

  test("an empty section of a file is a section of defaults", () => {
    expect(fine({ limits: null, endpoints: null })).toEqual(fine({}));
  });

  test("an endpoint needs an id and a url, and is in the PoP's region", () => {
    const endpoints = [{ id: "a", url: "http://127.0.0.1:8000" }];
    expect(fine({ pop: { region: "eu-de" }, endpoints }).endpoints[0]).toEqual({
      id: "a",
      dialects: ["chat"],
      url: "http://127.0.0.1:8000",
      engine: "openai-compatible",
      tier: "edge",
      region: "eu-de",
      models: [],
      tenants: [],
      admission: "new-and-existing",
      priceIn: 0,
      priceCached: 0,
      priceOut: 0,
      maxInFlight: 256,
      prefillBudgetTokens: 1024,
      prefillTokensPerS: 8000,
      itlMs: 20,
      rttMs: 0.5,
      headers: {},
    });
  });

  test("two parses share nothing that one could change under the other", () => {
    const first = fine({});
    first.endpoints.push({} as never);
    first.limits.retries = 0;
    expect(fine({}).endpoints).toEqual([]);
    expect(fine({}).limits.retries).toBe(3);
  });
});

describe("what is wrong is named with its path and what would be right", () => {
  test("everything at once", () => {
    const problems = wrong({
      listn: {},
      limits: { body_bytes: 1, retries: "x", queueLength: -1 },
      timeouts: [],
      slo: "fast",
      kernel: { rows: 5 },
      endpoints: [{ id: "a b" }, 5],
      log: { level: "loud" },
    });
    expect(Object.keys(problems).sort()).toEqual([
      "endpoints[0].id",
      "endpoints[0].url",
      "endpoints[1]",
      "kernel.rows",
      "limits.body_bytes",
      "limits.queueLength",
      "limits.retries",
      "listn",
      "log.level",
      "slo",
      "timeouts",
    ]);
    expect(problems.listn).toContain('did you mean "listen"?');
    expect(problems["limits.body_bytes"]).toContain('did you mean "bodyBytes"?');
    expect(problems["limits.queueLength"]).toContain("a whole number of requests from 0 to");
    expect(problems["limits.queueLength"]).toContain("got -1");
    expect(problems["log.level"]).toContain("one of debug, info, warn, error (default info)");
    expect(problems["kernel.rows"]).toContain("one of 256, 1024, 4096");
    expect(problems["endpoints[0].url"]).toContain("is missing: expected an http://");
    expect(problems.timeouts).toContain("expected a section (key: value), got a list");
  });

  test("one body must find room among all", () => {
    const parsed = parseConfig({ limits: { bodyBytes: 4_000_000, bodiesBytes: 3_000_000 } });
    const problems = parsed.ok ? [] : parsed.problems;
    expect(problems).toMatchObject([{ path: "limits.bodiesBytes" }]);
    expect(problems[0]?.message).toContain("below limits.bodyBytes");
  });

  test.each([
    [Number.NaN],
    [Number.POSITIVE_INFINITY],
    [1.5],
    [1e300],
    ["8801"],
    [true],
    [null],
    [{}],
    [[]],
  ])("a port of %s", (port) => {
    expect(Object.keys(wrong({ listen: { port } }))).toEqual(["listen.port"]);
  });

  test("a config that is a list or a text", () => {
    expect(wrong([1])[""]).toContain("got a list");
    expect(wrong("x")[""]).toContain('got "x"');
  });

  test("every key of a section that nobody reads", () => {
    expect(Object.keys(wrong({ slo: { a: 1, b: 2, c: 3 } }))).toEqual(["slo.a", "slo.b", "slo.c"]);
  });

  test("a secret is never repeated", () => {
    const endpoints = [{ id: "a", url: "http://user:pass@h/", apiKey: "se cret" }];
    const auth = { keys: [{ sha256: "my-plain-key", tenant: "t" }] };
    const text = JSON.stringify(wrong({ endpoints, auth }));
    for (const secret of ["pass@", "se cret", "my-plain-key"]) expect(text).not.toContain(secret);
    expect(text).toContain("sha256sum");
  });
});

describe("endpoint urls", () => {
  test.each([
    ["http://h", "http://h"],
    ["http://h/", "http://h"],
    ["http://h:80/v1", "http://h"],
    ["HTTPS://H:8443/v1/", "https://h:8443"],
    ["http://[::1]:8000/v1", "http://[::1]:8000"],
    ["https://vendor.example/openai/v1", "https://vendor.example/openai"],
  ])("%s becomes %s", (url, expected) => {
    expect(fine({ endpoints: [{ id: "a", url }] }).endpoints[0].url).toBe(expected);
  });

  test.each([
    "h:8000",
    "//h",
    "ftp://h",
    "http://",
    "http://h/v1/chat",
    "http://h/?x=1",
    "http://h/#x",
    "http://u@h",
    "",
    7,
  ])("%s is refused", (url) => {
    expect(Object.keys(wrong({ endpoints: [{ id: "a", url }] }))).toEqual(["endpoints[0].url"]);
  });
});

describe("headers for an endpoint", () => {
  const withHeaders = (headers: unknown) => ({
    endpoints: [{ id: "a", url: "http://h", headers }],
  });

  test("names become lower-case", () => {
    expect(fine(withHeaders({ "X-Site": "b" })).endpoints[0].headers).toEqual({ "x-site": "b" });
  });

  test.each([[{ Host: "x" }], [{ "content-length": "1" }], [{ "a b": "c" }], [{ x: "a\r\nb: c" }]])(
    "%j is refused",
    (headers) => {
      const [path] = Object.keys(wrong(withHeaders(headers)));
      expect(path).toMatch(/^endpoints\[0\]\.headers\./);
    },
  );
});

describe("what no single knob can say", () => {
  const at = (id: string, more = {}) => ({ id, url: "http://h", ...more });

  test("two endpoints with one id", () => {
    const problems = wrong({ endpoints: [at("a"), at("b"), at("a")] });
    expect(problems).toEqual({
      "endpoints[2].id": "is the id of endpoints[0] already; each must be its own",
    });
  });

  test("one key twice, in whatever case", () => {
    const keys = [
      { sha256: SHA, tenant: "a" },
      { sha256: SHA.toUpperCase(), tenant: "b" },
    ];
    expect(Object.keys(wrong({ auth: { keys } }))).toEqual(["auth.keys[1].sha256"]);
  });

  test("a tenant that no key has", () => {
    const keys = [{ sha256: SHA, tenant: "sales" }];
    const problems = wrong({ endpoints: [at("a", { tenants: ["sale"] })], auth: { keys } });
    expect(problems["endpoints[0].tenants"]).toContain('names "sale"');
    expect(problems["endpoints[0].tenants"]).toContain("(sales)");
  });

  test("without keys everybody is the tenant default", () => {
    expect(parseConfig({ endpoints: [at("a", { tenants: ["default"] })] }).ok).toBe(true);
    expect(Object.keys(wrong({ endpoints: [at("a", { tenants: ["x"] })] }))).toEqual([
      "endpoints[0].tenants",
    ]);
  });

  test("regions are compared in lower case", () => {
    const config = fine({ pop: { region: "EU" }, endpoints: [at("a", { region: "EU-DE" })] });
    expect([config.pop.region, config.endpoints[0].region]).toEqual(["eu", "eu-de"]);
  });

  test("more tenants with restrictions than the kernel has bits", () => {
    const config = (count: number) => {
      const tenants = Array.from({ length: count }, (_, index) => `t${index}`);
      const keys = tenants.map((tenant, index) => ({
        sha256: index.toString(16).padStart(64, "0"),
        tenant,
      }));
      return { endpoints: [at("a", { tenants })], auth: { keys } };
    };
    expect(parseConfig(config(31)).ok).toBe(true);
    expect(wrong(config(32)).endpoints).toContain("32 different tenants; at most 31");
  });

  test("more endpoints than the kernel has rows", () => {
    const endpoints = Array.from({ length: 257 }, (_, index) => at(`e${index}`));
    expect(wrong({ endpoints }).endpoints).toContain("has 257 of at most 256 endpoints");
    expect(parseConfig({ endpoints, kernel: { rows: 1024 } }).ok).toBe(true);
  });
});

describe("the environment", () => {
  const filled = (text: string, environment = {}) => fillFromEnvironment(text, environment);

  test.each([
    ["${A}", { A: "x" }, "x"],
    ["a${A}b${B:-c}", { A: "1" }, "a1bc"],
    ["${A:-}", {}, ""],
    ["${A:-d}", { A: "" }, "d"],
    ["${A}", { A: "" }, ""],
    ["$${A} costs $5", {}, "${A} costs $5"],
    ["${A}", { A: "${B}" }, "${B}"],
  ])("%s with %j is %j", (text, environment, expected) => {
    expect(filled(text, environment)).toMatchObject({ value: expected, problems: [] });
  });

  test("a name that is not set is one problem, at its path", () => {
    const endpoints = [{ id: "a", url: "http://h", apiKey: "${ENGINE_KEY}" }];
    const problems = wrong({ endpoints });
    expect(Object.keys(problems)).toEqual(["endpoints[0].apiKey"]);
    expect(problems["endpoints[0].apiKey"]).toContain("environment variable ENGINE_KEY");
  });

  test.each(["${}", "${1A}", "${A", "${A-b}"])("%s is no reference", (text) => {
    expect(filled(text, { A: "x" }).problems).toHaveLength(1);
  });

  test("where a number is wanted, a reference may give it; quoted numbers stay wrong", () => {
    const listen = { port: "${PORT:-0}" };
    expect(fine({ listen }).listen.port).toBe(0);
    expect(fine({ listen }, { PORT: "99" }).listen.port).toBe(99);
    expect(wrong({ listen }, { PORT: "many" })["listen.port"]).toContain('got "many"');
    expect(wrong({ listen }, { PORT: "70000" })["listen.port"]).toContain("got 70000");
  });

  test("where a text is wanted, digits stay a text", () => {
    const endpoints = [{ id: "a", url: "http://h", apiKey: "${K}" }];
    expect(fine({ endpoints }, { K: "123" }).endpoints[0].apiKey).toBe("123");
  });

  test("a value that holds itself ends", () => {
    const loop: Record<string, unknown> = {};
    loop.slo = loop;
    expect(Object.values(wrong(loop)).join()).toContain("nested deeper than 32");
  });
});

test("an alias of an alias is refused, unless it has the name of a model", () => {
  const endpoints = [{ id: "a", url: "http://127.0.0.1:9", models: ["both"] }];
  const withAliases = (aliases: object) => ({ endpoints, models: { aliases } });
  const found = wrong(withAliases({ small: ["a", "b"], all: ["c", "small"] }));
  expect(found).toEqual({
    "models.aliases.all": 'names "small", an alias itself; name the models of its chain',
  });
  fine(withAliases({ m: ["m", "n"], fast: ["m"], both: ["x"], other: ["both"] }));
});

describe("the nearest known word", () => {
  test.each([
    ["bodybytes", "bodyBytes"],
    ["retrys", "retries"],
    ["queue-length", "queueLength"],
    ["zebra", undefined],
    ["x".repeat(100), undefined],
  ])("of %s is %s", (word, expected) => {
    expect(nearest(word, ["bodyBytes", "retries", "queueLength"])).toBe(expected);
  });
});
