/**
 * An endpoint that fails before the first content token is replaced unseen. First every way of
 * failing, each at an endpoint that is cheaper than the good one and therefore asked first; then
 * a real engine process that is killed with 200 requests in its hands.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, inFlight, type ServerProcess, startEngine, startPop } from "./pop-process.ts";
import { deviation } from "./runtimes.ts";
import { type Behaviour, RogueEngine, tokenText } from "./rogue-engine.ts";

const EACH = 20;
const WHOLE = Array.from({ length: 5 }, (_, n) => tokenText(n)).join("");

/** Every failure that shows before the first content token. */
const FAILURES: Record<string, Behaviour> = {
  "resets on the request": { kind: "dies", after: "request", how: "reset" },
  "closes on the request": { kind: "dies", after: "request", how: "fin" },
  "resets after the head": { kind: "dies", after: "head", how: "reset" },
  "ends well after the head": { kind: "dies", after: "head", how: "clean" },
  "resets after the role": { kind: "dies", after: "role", how: "reset" },
  "closes after the role": { kind: "dies", after: "role", how: "fin" },
  "error event before content": { kind: "error-event", tokens: 0 },
  "half an event": { kind: "half-event", tokens: 0, how: "fin" },
  "answers 500": { kind: "status", status: 500 },
  "answers 503": { kind: "status", status: 503, headers: { "retry-after": "7" } },
  "answers 429": { kind: "status", status: 429, headers: { "retry-after": "7" } },
  "answers 404 for its own model": { kind: "status", status: 404 },
  "a balancer's HTML": { kind: "html", status: 502 },
  "HTML with status 200": { kind: "html", status: 200 },
  "never answers": { kind: "silent" },
  "drips without content": { kind: "drip", gapMs: 20 },
  "an event beyond the limit": { kind: "huge-event", tokens: 0, bytes: 200_000 },
};

const NAMES = Object.keys(FAILURES);
/** Those that only a time-out tells; on a busy machine the good engine would run into it, too. */
const SLOW = ["never answers", "drips without content"];
const QUICK = NAMES.filter((name) => !SLOW.includes(name));
const modelOf = (name: string): string => `m-${NAMES.indexOf(name)}`;

async function ask(pop: ServerProcess, model: string, n: number, stream = true): Promise<string> {
  const response = await fetch(`${pop.base}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model, stream, messages: [{ role: "user", content: `ask ${n}` }] }),
  });
  return `${response.status} ${await response.text()}`;
}

/** The text of a stream, or all of the answer when it is not a whole stream. */
function said(answer: string): string {
  if (!answer.startsWith("200 ") || !answer.includes("data: [DONE]")) return answer;
  if (answer.includes(`"error"`)) return answer;
  return [...answer.matchAll(/"content":"([^"]*)"/g)].map((match) => match[1]).join("");
}

describe.each([
  ["that shows by itself", QUICK, 30_000],
  ["that only a time-out tells", SLOW, 1_000],
])("before content, every failure %s is repaired unseen", (_, names, firstTokenMs) => {
  let pop: ServerProcess;
  let good: RogueEngine;
  const rogues = new Map<string, RogueEngine>();

  beforeAll(async () => {
    good = await RogueEngine.start(names.map(modelOf), () => ({ kind: "good" }));
    for (const name of names) {
      const script = (): Behaviour => FAILURES[name] as Behaviour;
      rogues.set(name, await RogueEngine.start([modelOf(name)], script));
    }
    const bad = names.map((name, n) => ({
      id: `bad-${n}`,
      url: (rogues.get(name) as RogueEngine).base,
      engine: "vllm",
      models: [modelOf(name)],
    }));
    pop = await startPop({
      endpoints: [
        ...bad,
        { id: "good", url: good.base, engine: "vllm", models: names.map(modelOf), priceIn: 10 },
      ],
      timeouts: { firstTokenMs },
      limits: { eventBytes: 65_536, heldBytes: 131_072 },
    });
  });

  afterAll(async () => {
    await pop?.stop();
    await good?.stop();
    for (const rogue of rogues.values()) await rogue.stop();
  });

  test.concurrent.each(names)("%s", async (name) => {
    const answers = await Promise.all(
      Array.from({ length: EACH }, (_, n) => ask(pop, modelOf(name), n)),
    );
    expect(new Set(answers.map(said))).toEqual(new Set([WHOLE]));
    // Else nothing was repaired: the rogue was never asked.
    expect(rogues.get(name)?.requests).toBeGreaterThan(0);
  });

  test("afterwards no request counts as running, at no endpoint", async () => {
    await eventually("all places free", async () => (await inFlight(pop)) === 0, 2_000);
    for (const [name, rogue] of rogues) {
      await eventually(`no place is taken: ${name}`, () => rogue.active === 0, 2_000);
    }
  });
});

describe("plain answers", () => {
  const PLAIN: Record<string, Behaviour> = {
    "a body that is cut short": { kind: "short-body" },
    "a reset": { kind: "dies", after: "request", how: "reset" },
    "answers 500": { kind: "status", status: 500 },
    "a balancer's HTML": { kind: "html", status: 502 },
  };
  const plain = Object.keys(PLAIN);
  const STALE = "stale";
  const FLAKY = "flaky";
  let pop: ServerProcess;
  const rogues = new Map<string, RogueEngine>();
  /** By engine: connections that closed under a request. */
  const closed = { [STALE]: 0, [FLAKY]: 0 };

  /** Takes one request on each connection. */
  const once = (name: keyof typeof closed) =>
    RogueEngine.start([name], ({ useOfConnection }) => {
      if (useOfConnection === 1) return { kind: "good" };
      closed[name]++;
      return { kind: "dies", after: "request", how: "fin" };
    });

  beforeAll(async () => {
    for (const name of plain) {
      const behaviour = PLAIN[name] as Behaviour;
      rogues.set(name, await RogueEngine.start([name], () => behaviour));
    }
    rogues.set(STALE, await once(STALE));
    rogues.set(FLAKY, await once(FLAKY));
    // The only endpoint of its model is the stale one.
    const repaired = [...plain, FLAKY];
    const good = await RogueEngine.start(repaired, () => ({ kind: "good" }));
    const bad = [...rogues].map(([name, { base }], n) => ({
      id: `bad-${n}`,
      url: base,
      engine: "vllm",
      models: [name],
    }));
    rogues.set("good", good);
    pop = await startPop({
      endpoints: [
        ...bad,
        { id: "good", url: good.base, engine: "vllm", models: repaired, priceIn: 10 },
      ],
    });
  });

  afterAll(async () => {
    await pop?.stop();
    for (const rogue of rogues.values()) await rogue.stop();
  });

  test.each(plain)("%s is repaired unseen", async (name) => {
    const answers = await Promise.all([1, 2, 3, 4].map((n) => ask(pop, name, n, false)));
    for (const answer of answers) expect(answer).toMatch(/^200 .*"content":"word "/);
    expect(rogues.get(name)?.requests).toBeGreaterThan(0);
  });

  test("a stale keep-alive connection is no fault of the only endpoint", async () => {
    for (let n = 0; n < 20; n++) expect(await ask(pop, STALE, n, false)).toMatch(/^200 /);
    expect(closed[STALE]).toBeGreaterThan(0);
  });

  test("an engine that closes after every answer loses nobody who waited for it", async () => {
    const one = await RogueEngine.start(["one"], ({ useOfConnection }) =>
      useOfConnection === 1 ? { kind: "good" } : { kind: "dies", after: "request", how: "fin" },
    );
    const entry = { id: "one", url: one.base, engine: "vllm", maxInFlight: 3 };
    const isAlone =
      deviation("an engine that closes connections after answers without saying so") !== undefined;
    const limits = isAlone ? {} : { retries: 1 };
    const alone = await startPop({ endpoints: [entry], limits });
    try {
      const asked: Promise<string>[] = [];
      for (let n = 0; n < 40; n++) {
        asked.push(ask(alone, "one", n));
        if (isAlone) await asked[n];
      }
      for (const answer of await Promise.all(asked)) expect(answer).toMatch(/^200 .*DONE/s);
    } finally {
      await alone.stop();
      await one.stop();
    }
  });

  test("a keep-alive connection that closes under the next request", async () => {
    for (let n = 0; n < 6; n++) expect(await ask(pop, FLAKY, n, false)).toMatch(/^200 /);
    expect(closed[FLAKY]).toBeGreaterThan(0);
  });
});

describe("a killed engine process", () => {
  const REQUESTS = 200;

  test(`kill -9 with ${REQUESTS} requests in prefill: none of them fails`, async () => {
    const engines = await Promise.all([1, 2, 3].map(() => startEngine("--profile", "instant")));
    const [victim, ...others] = engines as [ServerProcess, ...ServerProcess[]];
    // It takes requests and never answers: all that is sent there is in its hands when it dies.
    await victim.json("/fault", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ kind: "stall", count: 0 }),
    });
    const entry = { engine: "vllm", maxInFlight: 4_096, prefillBudgetTokens: 1_000_000 };
    const pop = await startPop({
      endpoints: [
        { ...entry, id: "victim", url: victim.base },
        ...others.map(({ base }, n) => ({ ...entry, id: `live-${n}`, url: base, priceIn: 10 })),
      ],
    });
    try {
      const asked = Array.from({ length: REQUESTS }, (_, n) => ask(pop, "emulated", n));
      await eventually("all in the victim's hands", async () => (await inFlight(pop)) >= REQUESTS);
      await victim.kill("SIGKILL");
      const failed = (await Promise.all(asked)).map(said).filter((text) => /^\d|^$/.test(text));
      expect(failed).toEqual([]);
    } finally {
      await pop.stop();
      for (const engine of engines) await engine.stop();
    }
  });
});
