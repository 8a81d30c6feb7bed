/**
 * Embeddings as each dialect answers them. Only numbers are read from an engine: we ask it for
 * nothing else; a caller of OpenAI's may want them packed.
 */
import type { Task } from "../../task/task.ts";
import type { Fields, VectorDialect } from "./dialect.ts";
import { isFields, listOf, tokensOf } from "./fields.ts";

function isVector(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((one) => typeof one === "number");
}

/** All of them, else undefined. */
function vectorsOf(values: readonly unknown[], key: string): number[][] | undefined {
  const vectors = values.map((value) => (isFields(value) ? value[key] : undefined));
  return vectors.length > 0 && vectors.every(isVector) ? vectors : undefined;
}

/** 32-bit floats, little endian, in base64. */
function packed(vector: readonly number[]): string {
  const view = new DataView(new ArrayBuffer(vector.length * 4));
  for (const [at, value] of vector.entries()) view.setFloat32(at * 4, value, true);
  let binary = "";
  for (let at = 0; at < view.byteLength; at++) binary += String.fromCharCode(view.getUint8(at));
  return btoa(binary);
}

export const CHAT_VECTORS: VectorDialect = {
  read: (body) => {
    // Engines may answer out of order and say so.
    const data = listOf(body.data).filter(isFields);
    const at = (value: Fields) => tokensOf(value.index) ?? 0;
    return vectorsOf(
      [...data].sort((a, b) => at(a) - at(b)),
      "embedding",
    );
  },
  write: (vectors, task, promptTokens) => {
    const pack = task.fields.encoding_format === "base64";
    const data = vectors.map((vector, index) => {
      const embedding = pack ? packed(vector) : vector;
      return { object: "embedding", index, embedding };
    });
    const usage = { prompt_tokens: promptTokens, total_tokens: promptTokens };
    return { object: "list", data, model: task.model, usage };
  },
};

export const GEMINI_VECTORS: VectorDialect = {
  read: (body) => {
    const one = isFields(body.embedding) ? [body.embedding] : listOf(body.embeddings);
    return vectorsOf(one, "values");
  },
  write: (vectors, task: Task, promptTokens) => {
    const usageMetadata = { promptTokenCount: promptTokens, totalTokenCount: promptTokens };
    const embeddings = vectors.map((values) => ({ values }));
    const single = task.route === "gemini-embed";
    return single ? { embedding: embeddings[0], usageMetadata } : { embeddings, usageMetadata };
  },
};
