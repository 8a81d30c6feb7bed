/**
 * After the first content token a broken stream cannot be repaired unseen, so it must not look
 * whole: the client gets the typed error event of its dialect, never a clean end. The judge is
 * the official client, for which a clean end without finish is silent success.
 */
import OpenAI, { APIError } from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually, inFlight, type ServerProcess, startPop } from "./pop-process.ts";
import { type Behaviour, RogueEngine, tokenText } from "./rogue-engine.ts";

const BREAKS = 200;
const TOKENS = 3;
const SAID = Array.from({ length: TOKENS }, (_, n) => tokenText(n)).join("");

/** Every way to break after content, and the code that the client must see. */
const WAYS: Record<string, { behaviour: Behaviour; code: string | number }> = {
  reset: { behaviour: { kind: "dies", after: TOKENS, how: "reset" }, code: "disconnected" },
  "FIN in mid-body": {
    behaviour: { kind: "dies", after: TOKENS, how: "fin" },
    code: "disconnected",
  },
  "a clean end without finish": {
    behaviour: { kind: "dies", after: TOKENS, how: "clean" },
    code: "truncated",
  },
  "half an event, reset": {
    behaviour: { kind: "half-event", tokens: TOKENS, how: "reset" },
    code: "disconnected",
  },
  "half an event, clean end": {
    behaviour: { kind: "half-event", tokens: TOKENS, how: "clean" },
    code: "truncated",
  },
  "an error event of the engine": {
    // The engine's own words and code reach the client.
    behaviour: { kind: "error-event", tokens: TOKENS },
    code: 500,
  },
  silence: { behaviour: { kind: "falls-silent", tokens: TOKENS }, code: "idle_timeout" },
  "an event beyond the limit": {
    behaviour: { kind: "huge-event", tokens: TOKENS, bytes: 200_000 },
    code: "bad_response",
  },
};

const NAMES = Object.keys(WAYS);
const EACH = BREAKS / NAMES.length;
/** An endpoint that breaks a few streams is not asked again for a while: each has its few. */
const FEW = 3;
const ENDPOINTS_EACH = Math.ceil((EACH + 1) / FEW);

/** By the request's `user`: called when its client has heard what comes before the break. */
const heardBy = new Map<string, () => void>();
let users = 0;

/** An engine that breaks when the client has the tokens: earlier, the break could be repaired. */
function breaksAfterwards(behaviour: Behaviour): Promise<RogueEngine> {
  return RogueEngine.start([], ({ body }) => {
    const heard = new Promise<void>((resolve) => heardBy.set(body.user ?? "", resolve));
    return { ...behaviour, heard } as Behaviour;
  });
}

let pop: ServerProcess;
/** A PoP of its own with a short limit: on a busy machine the others would run into it, too. */
let impatient: ServerProcess;
const rogues: RogueEngine[] = [];
const popOf = (name: string): ServerProcess => (name === "silence" ? impatient : pop);

beforeAll(async () => {
  for (const [n, name] of NAMES.entries()) {
    const rogue = await breaksAfterwards((WAYS[name] as (typeof WAYS)[string]).behaviour);
    rogue.models.push(`m-${n}`);
    rogues.push(rogue);
  }
  const endpoints = rogues.flatMap((rogue, n) =>
    Array.from({ length: ENDPOINTS_EACH }, (_, copy) => ({
      id: `rogue-${n}-${copy}`,
      url: rogue.base,
      engine: "vllm",
      models: [`m-${n}`],
      maxInFlight: FEW,
    })),
  );
  const shared = {
    endpoints,
    limits: { eventBytes: 65_536, heldBytes: 131_072 },
    poll: { intervalMs: 1_000, successesToUp: 1 },
  };
  pop = await startPop(shared);
  impatient = await startPop({ ...shared, timeouts: { idleMs: 300 } });
});

afterAll(async () => {
  await pop?.stop();
  await impatient?.stop();
  for (const rogue of rogues) await rogue.stop();
});

interface Heard {
  text: string;
  error: unknown;
}

async function listen(name: string): Promise<Heard> {
  const model = `m-${NAMES.indexOf(name)}`;
  const user = `user-${users++}`;
  const baseURL = `${popOf(name).base}/v1`;
  const client = new OpenAI({ apiKey: "none", baseURL, maxRetries: 0 });
  const heard: Heard = { text: "", error: undefined };
  try {
    const messages = [{ role: "user" as const, content: "break" }];
    const stream = await client.chat.completions.create({ model, user, stream: true, messages });
    for await (const chunk of stream) {
      heard.text += chunk.choices[0]?.delta.content ?? "";
      if (heard.text === SAID) heardBy.get(user)?.();
    }
  } catch (error) {
    heard.error = error;
  }
  return heard;
}

test.concurrent.each(NAMES)(`%s: ${EACH} of ${EACH} raise APIError`, async (name) => {
  const heard = await Promise.all(Array.from({ length: EACH }, () => listen(name)));
  for (const { text, error } of heard) {
    expect(error).toBeInstanceOf(APIError);
    expect((error as APIError).code).toBe(WAYS[name]?.code);
    // What came before the break is delivered, whole and once.
    expect(text).toBe(SAID);
  }
});

test("on the wire: a whole error event, and no [DONE] after it", async () => {
  const response = await fetch(`${pop.base}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: `m-${NAMES.indexOf("half an event, reset")}`,
      stream: true,
      user: "wire",
      messages: [{ role: "user", content: "break" }],
    }),
  });
  expect(response.status).toBe(200);
  let text = "";
  for await (const bytes of response.body as ReadableStream<Uint8Array>) {
    text += new TextDecoder().decode(bytes);
    if (text.includes(tokenText(TOKENS - 1))) heardBy.get("wire")?.();
  }
  expect(text).not.toContain("[DONE]");
  expect(text.endsWith("\n\n")).toBe(true);
  const events = text.split("\n\n").filter((event) => event.startsWith("data: "));
  const last = JSON.parse((events.at(-1) as string).slice(6)) as { error: Record<string, unknown> };
  expect(last.error).toMatchObject({ type: "server_error", code: "disconnected", param: null });
});

test("afterwards no request counts as running", async () => {
  for (const one of [pop, impatient]) {
    await eventually("all places free", async () => (await inFlight(one)) === 0, 2_000);
  }
});
