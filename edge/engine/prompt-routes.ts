/** The emulated engine's routes that read prompts and generate nothing: embeddings, tokenizer. */
import type { ServerResponse } from "node:http";
import type { EngineProfile } from "../../src/sim/profiles.ts";
import { embeddingOf, readPrompt } from "./filler.ts";
import { badRequest, sendJson } from "./http.ts";
import { chatPieces, embeddingsJson, readModel, readPrompts, wantsBase64 } from "./openai-api.ts";
import { promptIds } from "./token-ids.ts";

type Body = Record<string, unknown>;

interface Settings {
  models: string[];
  profile: EngineProfile;
  /** Step times are divided by it. */
  speed?: number | undefined;
}

const EMBEDDING_WIDTH = 256;

export function embed(body: Body, response: ServerResponse, settings: Settings): void {
  const { models, profile, speed } = settings;
  const model = readModel(body, models);
  const isBase64 = wantsBase64(body);
  const prompts = readPrompts(body, "input").map((piece) => {
    const prompt = readPrompt([piece], model, profile.blockTokens);
    if (prompt.tokens === 0) throw badRequest("the prompt is empty");
    return prompt;
  });
  const tokens = prompts.reduce((sum, prompt) => sum + prompt.tokens, 0);
  const vectors = prompts.map((prompt) => embeddingOf(prompt, EMBEDDING_WIDTH));
  const { overheadMs, weightsMs, tokenMs } = profile.costs;
  const stepMs = (overheadMs + Math.max(weightsMs, tokens * tokenMs)) / (speed ?? 1);
  const json = embeddingsJson(model, vectors, tokens, isBase64);
  if (stepMs === 0) sendJson(response, 200, json);
  else setTimeout(() => sendJson(response, 200, json), stepMs);
}

/** vLLM's /tokenize: takes the bodies of completions and of chat, whatever else stands in them. */
export function tokenize(
  body: Body,
  response: ServerResponse,
  { models, profile }: Settings,
): void {
  readModel(body, models);
  const pieces = body.messages === undefined ? readPrompts(body, "prompt") : chatPieces(body);
  const tokens = promptIds(pieces);
  const answer = { count: tokens.length, max_model_len: profile.maxModelLen, tokens };
  sendJson(response, 200, JSON.stringify({ ...answer, token_strs: null }));
}
