/**
 * Engines that speak more than Chat themselves (vLLM has Messages and Responses): a PoP that is
 * told so passes those bytes on, and reads the same counts from them.
 */
import { expectSame, expectThat, NotOffered, type Report } from "./live-report.ts";
import {
  ask,
  good,
  type Json,
  type Live,
  sample,
  startPopBefore,
  stream,
  user,
} from "./live-scene.ts";

const QUESTION = "Name three colours of the sky.";

interface OwnDoor {
  name: string;
  dialect: string;
  path: string;
  body: Json;
  last: RegExp;
}

const DOORS: readonly OwnDoor[] = [
  {
    ...{ name: "Messages", dialect: "messages", path: "/v1/messages" },
    body: { messages: [user(QUESTION)], max_tokens: 16, temperature: 0 },
    last: /^message_stop$/,
  },
  {
    ...{ name: "Responses", dialect: "responses", path: "/v1/responses" },
    body: { input: QUESTION, max_output_tokens: 16, temperature: 0, store: false },
    last: /^response\.(completed|incomplete)$/,
  },
];

export async function checkOwnDoors(live: Live, report: Report): Promise<void> {
  for (const door of DOORS) {
    await report.check(`its own ${door.name} API, passed through`, () => passes(live, door));
  }
}

/** Text of the answer, wherever the dialect keeps it. */
function textIn(json: Json): string {
  const found = JSON.stringify(json).match(/"text":"(?:[^"\\]|\\.)*"/g) ?? [];
  return found.join();
}

async function passes(live: Live, door: OwnDoor): Promise<string> {
  const body = { model: live.model, ...door.body };
  const own = await ask(live.engine, "POST", door.path, body);
  if (own.status !== 200) throw new NotOffered(`${door.path} answers ${own.status}`);
  const dialects = ["chat", door.dialect];
  const pop = await startPopBefore(live.options, {}, { dialects });
  try {
    const side = { ...live.door, base: pop.base };
    const { json } = await good(side, door.path, body);
    expectSame(textIn(json), textIn(own.json ?? {}), "text");
    const streamed = await stream(side, door.path, { ...body, stream: true });
    expectThat(streamed.broken === undefined, `the stream broke: ${streamed.broken}`);
    const types = streamed.events.map(({ type }) => String(type));
    expectThat(
      types.some((type) => door.last.test(type)),
      `it ends with ${types.at(-1)}`,
    );
    const page = await (await fetch(`${pop.base}/metrics`)).text();
    const faults = sample(page, "gridpoint_result_faults_total") ?? 0;
    expectThat(faults === 0, `${faults} faults found in good answers`);
    const counted = sample(page, "gridpoint_tokens_total") ?? 0;
    expectThat(counted > 0, "no tokens were counted");
    return `${types.length} events, ${counted} tokens counted`;
  } finally {
    await pop.stop();
  }
}
