/**
 * Where an engine has no tokenizer to ask, the ids of a prompt come with its answer: asked for by
 * the PoP, and not shown to a caller who did not ask. The real engine's tokenizers are hidden by a
 * pass-through before it.
 */
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { bodyOf, document, question } from "./live-cache.ts";
import { expectSame, expectThat, NotOffered, type Report } from "./live-report.ts";
import {
  good,
  type Json,
  type Live,
  pause,
  startPopBefore,
  stateOf,
  stream,
} from "./live-scene.ts";

const CHAT = "/v1/chat/completions";
const HIDDEN = /^\/tokenize$|\/render$/;
const STREAM = { stream: true, stream_options: { include_usage: true } };

export async function checkIds(live: Live, report: Report): Promise<void> {
  await report.check("ids of prompts come with answers, unseen", () => withAnswers(live));
}

async function hiding(url: string): Promise<{ url: string; close(): void }> {
  const server = createServer((incoming, outgoing) => {
    if (HIDDEN.test(incoming.url ?? "")) {
      incoming.resume();
      outgoing.writeHead(404).end("{}");
      return;
    }
    const { method, headers, url: path } = incoming;
    const onward = request(new URL(path ?? "/", url), { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on("error", () => outgoing.destroy());
    outgoing.on("close", () => onward.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${port}`, close };
}

const choiceShape = (json: Json) => {
  const [choice] = (json.choices ?? []) as Json[];
  return [Object.keys(json), Object.keys(choice ?? {}), choice?.token_ids ?? null];
};

async function withAnswers(live: Live): Promise<string> {
  if (live.options.kvEvents === undefined) throw new NotOffered("ids are for KV events only");
  const own = await good(live.engine, CHAT, {
    ...bodyOf(live, [question()]),
    return_token_ids: true,
  });
  if (!Array.isArray(own.json.prompt_token_ids)) throw new NotOffered("no return_token_ids");
  const front = await hiding(live.options.url);
  const pop = await startPopBefore({ ...live.options, url: front.url });
  try {
    const side = { ...live.door, base: pop.base };
    const known = async () => (await stateOf(pop)).kvKnowledge.chunks;
    // The first of all finds out that there is no tokenizer.
    await good(side, CHAT, bodyOf(live, [await document(live), question()]));
    await pause(300);
    const messages = [await document(live), question()];
    const before = await known();
    const plain = await good(side, CHAT, bodyOf(live, messages));
    const byPlain = (await known()) - before;
    expectThat(byPlain > 0, "nothing was learned from a plain answer");
    const bare = await good(live.engine, CHAT, bodyOf(live, messages));
    expectSame(choiceShape(plain.json), choiceShape(bare.json), "what the caller sees");
    expectThat((plain.json.prompt_token_ids ?? null) === null, "the caller sees the prompt's ids");
    const other = { ...bodyOf(live, [await document(live), question()], 8), ...STREAM };
    const streamed = await stream(side, CHAT, other);
    const byStream = (await known()) - before - byPlain;
    expectThat(byStream > 0, "nothing was learned from a stream");
    expectThat(!/"(prompt_)?token_ids":\[/.test(streamed.text), "the caller sees ids in a stream");
    const direct = await stream(live.engine, CHAT, other);
    expectSame(shapes(streamed.events), shapes(direct.events), "fields of chunks");
    return `${byPlain} chunks of a plain answer, ${byStream} of a stream; same fields as without`;
  } finally {
    await pop.stop();
    front.close();
  }
}

/** Fields of the chunks and of their choices, each kind once. */
const shapes = (events: readonly Json[]) => [
  ...new Set(
    events.map((event) => {
      const choices = (event.choices ?? []) as Json[];
      return [Object.keys(event).sort(), choices.map((one) => Object.keys(one).sort())].join(" / ");
    }),
  ),
];
