/** OpenAI's embeddings request as texts, and texts as one. */
import { type Fields, invalid } from "../body-fields.ts";
import type { EmbedRequest } from "../request.ts";

/** The input was checked when the body was parsed. */
export function chatToTexts(body: Fields): EmbedRequest {
  const inputs = Array.isArray(body.input) ? body.input : [body.input];
  const texts = inputs.map((input) => {
    if (typeof input === "string") return input;
    throw invalid("input", "is made of tokens, which no endpoint of this model understands");
  });
  const { dimensions } = body;
  return typeof dimensions === "number" ? { texts, dimensions } : { texts };
}

export function chatFromTexts({ texts, dimensions }: EmbedRequest, model: string): Fields {
  const body = { model, input: texts, encoding_format: "float" };
  return dimensions === undefined ? body : { ...body, dimensions };
}
