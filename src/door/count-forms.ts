/** A number of tokens as each dialect answers it. */
import type { Dialect } from "../grid/dialect.ts";

export const COUNT_FORMS: Readonly<Record<Dialect, (tokens: number) => unknown>> = {
  // OpenAI's Chat API has no such door.
  chat: (tokens) => ({ input_tokens: tokens }),
  messages: (tokens) => ({ input_tokens: tokens }),
  gemini: (tokens) => ({ totalTokens: tokens }),
  responses: (tokens) => ({ object: "response.input_tokens", input_tokens: tokens }),
};
