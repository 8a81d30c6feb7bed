/** What else the SDKs offer beside generating: models, embeddings, counting tokens. */
import { createGoogle } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { embedMany } from "ai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { vectorOf } from "../vendors/chat.ts";
import type { Dialect } from "../vendors/scene.ts";
import { anthropic, paramsOf as anthropicParams } from "./clients/anthropic.ts";
import type { Target } from "./clients/client.ts";
import { google } from "./clients/google.ts";
import { openAi } from "./clients/openai-chat.ts";
import { wish } from "./scenes.ts";
import { House, type Stage } from "./stage.ts";

interface Surface {
  name: string;
  door: Dialect;
  run(target: Target, model: string): Promise<void>;
}

const TEXTS = ["one text", "quite another text"];
/** Vectors come as 32-bit floats in some forms. */
function expectVectors(vectors: (number[] | undefined)[]): void {
  expect(vectors).toHaveLength(TEXTS.length);
  for (const [n, text] of TEXTS.entries()) {
    const wanted = vectorOf(text);
    expect(vectors[n]).toHaveLength(wanted.length);
    for (const [at, value] of wanted.entries()) expect(vectors[n]?.[at]).toBeCloseTo(value, 5);
  }
}

const SURFACES: Surface[] = [
  {
    name: "openai: models",
    door: "chat",
    run: async (target, model) => {
      const list = await openAi(target).models.list();
      expect(list.data.map(({ id }) => id)).toContain(model);
      expect(await openAi(target).models.retrieve(model)).toMatchObject({ id: model });
      await expect(openAi(target).models.retrieve("none")).rejects.toMatchObject({ status: 404 });
    },
  },
  {
    name: "openai: embeddings in both encodings",
    door: "chat",
    run: async (target, model) => {
      const { embeddings } = openAi(target);
      const packed = await embeddings.create({ model, input: TEXTS });
      expectVectors(packed.data.map(({ embedding }) => embedding));
      const plain = await embeddings.create({ model, input: TEXTS, encoding_format: "float" });
      expectVectors(plain.data.map(({ embedding }) => embedding));
    },
  },
  {
    name: "ai openai: embedMany",
    door: "chat",
    run: async ({ base, key }, model) => {
      const provider = createOpenAI({ apiKey: key, baseURL: `${base}/v1` });
      const wanted = { model: provider.textEmbeddingModel(model), values: TEXTS, maxRetries: 0 };
      expectVectors((await embedMany(wanted)).embeddings);
    },
  },
  {
    name: "anthropic: models",
    door: "messages",
    run: async (target, model) => {
      const ids: string[] = [];
      for await (const { id, type } of anthropic(target).models.list({ limit: 7 })) {
        expect(type).toBe("model");
        ids.push(id);
      }
      expect(ids).toContain(model);
      expect(new Set(ids).size).toBe(ids.length);
      expect(await anthropic(target).models.retrieve(model)).toMatchObject({ id: model });
      const missing = anthropic(target).models.retrieve("none");
      await expect(missing).rejects.toMatchObject({ status: 404, type: "not_found_error" });
    },
  },
  {
    name: "anthropic: countTokens",
    door: "messages",
    run: async (target, model) => {
      const { max_tokens: _most, ...params } = anthropicParams(wish(model));
      const { input_tokens } = await anthropic(target).messages.countTokens(params);
      expect(input_tokens).toBeGreaterThan(0);
      const more = { ...params, system: "word ".repeat(400) };
      const counted = await anthropic(target).messages.countTokens(more);
      expect(counted.input_tokens).toBeGreaterThanOrEqual(input_tokens);
    },
  },
  {
    name: "google: models",
    door: "gemini",
    run: async (target, model) => {
      const names: (string | undefined)[] = [];
      for await (const { name } of await google(target).models.list()) names.push(name);
      expect(names).toContain(`models/${model}`);
      const one = await google(target).models.get({ model });
      expect(one.name).toBe(`models/${model}`);
      const missing = google(target).models.get({ model: "none" });
      await expect(missing).rejects.toMatchObject({ status: 404 });
    },
  },
  {
    name: "google: countTokens",
    door: "gemini",
    run: async (target, model) => {
      const { totalTokens } = await google(target).models.countTokens({ model, contents: "a b c" });
      expect(totalTokens).toBeGreaterThan(0);
    },
  },
  {
    name: "google: embedContent, one text and several",
    door: "gemini",
    run: async (target, model) => {
      const { embeddings } = await google(target).models.embedContent({ model, contents: TEXTS });
      expectVectors((embeddings ?? []).map(({ values }) => values));
    },
  },
  {
    name: "ai google: embedMany",
    door: "gemini",
    run: async ({ base, key }, model) => {
      const provider = createGoogle({ apiKey: key, baseURL: `${base}/v1beta` });
      const wanted = { model: provider.textEmbeddingModel(model), values: TEXTS, maxRetries: 0 };
      expectVectors((await embedMany(wanted)).embeddings);
    },
  },
];

/** Embeddings exist at these vendors only. */
const EMBEDS: readonly Dialect[] = ["chat", "responses", "gemini"];
/** Behind a PoP they are Chat's: an endpoint that is said to speak Responses alone has none. */
const embeds = ({ vendorDialect, throughPop }: Stage): boolean =>
  EMBEDS.includes(vendorDialect) && !(throughPop && vendorDialect === "responses");

/** Each surface once per path: stages of several clients of one dialect are alike here. */
export function surfacesSuite(stages: readonly Stage[]): void {
  let house: House;
  beforeAll(async () => {
    house = await House.open(stages);
  });
  afterAll(() => house?.close());

  const paths = new Map(stages.map((one) => [`${one.client.dialect} ${one.vendorDialect}`, one]));
  for (const stage of paths.values()) {
    const { client, vendorDialect } = stage;
    const fitting = SURFACES.filter(
      ({ door, name }) => door === client.dialect && (!/embed/.test(name) || embeds(stage)),
    );
    if (fitting.length === 0) continue;
    describe(`door ${client.dialect}, vendor ${vendorDialect}`, () => {
      test.each(fitting)("$name", ({ run }) => run(house.target(stage), stage.model));
    });
  }
}
