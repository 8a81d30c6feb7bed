/**
 * The languages of inference APIs. A door speaks one to its callers, an endpoint one or several to
 * us; where both speak the same, bytes pass, else a codec stands between them (`task/dialects`
 * for requests, `stream/dialects` for answers).
 */

/**
 * `chat`: OpenAI Chat Completions with its siblings Completions, Embeddings and Models.
 * `messages`: Anthropic Messages. `gemini`: Google's generateContent with its siblings.
 * `responses`: OpenAI Responses.
 */
export const DIALECTS = ["chat", "messages", "gemini", "responses"] as const;
export type Dialect = (typeof DIALECTS)[number];
