/** What a body says of the engine's KV cache, in the words of vLLM and SGLang. */
import type { Fields } from "./body-fields.ts";

const SALT_LENGTH_MAX = 1_024;

/** `cache_salt`: prompts with another one share no KV cache. "" = none. */
export function cacheSalt({ cache_salt: salt }: Fields): string {
  return typeof salt === "string" && salt.length <= SALT_LENGTH_MAX ? salt : "";
}

/** `return_token_ids`; undefined: the caller says nothing of it. */
export function returnsTokenIds({ return_token_ids: wanted }: Fields): boolean | undefined {
  return wanted === undefined ? undefined : wanted === true;
}
