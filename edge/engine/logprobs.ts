/**
 * Log probabilities of the emulated engine's tokens, in the form of each route. They follow from
 * the token and its place: nothing is known of any model, only the form is right.
 */
import { CHARS_PER_TOKEN, type Output, outputText } from "./filler.ts";

interface Weighed {
  token: string;
  logprob: number;
}

/** The token and the likeliest others, the likeliest first. */
function weighed(output: Output, at: number, top: number): Weighed[] {
  const start = at * CHARS_PER_TOKEN;
  const token = outputText(output, start, start + CHARS_PER_TOKEN);
  const draw = (Math.imul(output.salt ^ Math.imul(at + 1, 0x9e3779b1), 0x85ebca6b) >>> 16) & 0x3ff;
  const logprob = -(draw + 1) / 2_048;
  const others = Array.from({ length: Math.max(top - 1, 0) }, (_, n) => ({
    token: `<other-${n + 1}>`,
    logprob: logprob - 1 - n,
  }));
  return [{ token, logprob }, ...others];
}

const bytesOf = (token: string): number[] => [...Buffer.from(token, "utf8")];

/** Of tokens `from` to `end`, as a chat's choice has them. */
export function chatLogprobs(output: Output, from: number, end: number, top: number): string {
  const content = [];
  for (let at = from; at < end; at++) {
    const all = weighed(output, at, top).map((one) => ({ ...one, bytes: bytesOf(one.token) }));
    content.push({ ...all[0], top_logprobs: all.slice(0, top) });
  }
  return JSON.stringify({ content });
}

/** The same, as a completion's choice has them. */
export function textLogprobs(output: Output, from: number, end: number, top: number): string {
  const told = {
    ...{ text_offset: [] as number[], tokens: [] as string[] },
    ...{ token_logprobs: [] as number[], top_logprobs: [] as Record<string, number>[] },
  };
  for (let at = from; at < end; at++) {
    const all = weighed(output, at, top);
    told.text_offset.push(at * CHARS_PER_TOKEN);
    told.tokens.push(all[0].token);
    told.token_logprobs.push(all[0].logprob);
    told.top_logprobs.push(
      Object.fromEntries(all.slice(0, top).map((one) => [one.token, one.logprob])),
    );
  }
  return JSON.stringify(told);
}
