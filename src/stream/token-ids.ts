/**
 * Token ids of a prompt in the answers that engines give: vLLM's /tokenize says `tokens`, /render
 * `token_ids` or `prompt_token_ids`, alone, in a list or under `prompts`.
 */

/** Far above any context window: an answer that is longer is none. */
const IDS_MAX = 16_777_216;
const NAMES = ["tokens", "prompt_token_ids", "token_ids"] as const;

/** Undefined when it is no list of token ids. */
export function tokenIds(value: unknown): number[] | undefined {
  if (!Array.isArray(value) || value.length === 0 || value.length > IDS_MAX) return undefined;
  for (const id of value) if (!Number.isInteger(id) || id < 0) return undefined;
  return value as number[];
}

/** Reads an answer of a tokenizer route; undefined when there are no ids in it. */
export function tokenIdsOf(answer: unknown): number[] | undefined {
  const prompts = (answer as { prompts?: unknown } | null | undefined)?.prompts;
  const one = Array.isArray(answer) ? answer[0] : Array.isArray(prompts) ? prompts[0] : answer;
  if (typeof one !== "object" || one === null) return tokenIds(answer);
  for (const name of NAMES) {
    const ids = tokenIds((one as Record<string, unknown>)[name]);
    if (ids !== undefined) return ids;
  }
  return undefined;
}
