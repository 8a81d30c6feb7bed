/** Callers of other vendors' APIs get what a Chat caller gets: the same text, the same counts. */
import { EXACT, ownAnswer, type Choice, counts } from "./live-answers.ts";
import { expectSame, expectThat, type Report, whole } from "./live-report.ts";
import { good, type Json, type Live, stream, type Usage, user } from "./live-scene.ts";

const QUESTION = "Name three colours of the sky.";
const { max_tokens: MAX_TOKENS } = EXACT;

interface Door {
  name: string;
  path(model: string, isStream: boolean): string;
  body(model: string): Json;
  /** Text and token counts of a plain answer. */
  read(answer: Json): { text: string; input: number; output: number };
  /** What one event adds to the text. */
  piece(event: Json): string;
  /** The last event, by its type or nature. */
  isLast(event: Json): boolean;
}

type Part = { type?: string; text?: string };
const joined = (parts: readonly Part[] | undefined) =>
  (parts ?? []).map(({ text }) => text ?? "").join("");

const MESSAGES: Door = {
  name: "Anthropic Messages",
  path: () => "/v1/messages",
  body: (model) => ({
    ...{ model, temperature: 0, max_tokens: MAX_TOKENS },
    messages: [user(QUESTION)],
  }),
  read(answer) {
    const usage = answer.usage as Record<string, number>;
    const cached = (usage.cache_read_input_tokens ?? 0) + (usage.cache_creation_input_tokens ?? 0);
    const text = joined(answer.content as Part[]);
    return { text, input: (usage.input_tokens ?? 0) + cached, output: usage.output_tokens ?? 0 };
  },
  piece: (event) =>
    event.type === "content_block_delta" ? ((event.delta as Part).text ?? "") : "",
  isLast: (event) => event.type === "message_stop",
};

const RESPONSES: Door = {
  name: "OpenAI Responses",
  path: () => "/v1/responses",
  body: (model) => ({
    ...{ model, temperature: 0, max_output_tokens: MAX_TOKENS },
    input: QUESTION,
  }),
  read(answer) {
    const output = answer.output as { type: string; content?: Part[] }[];
    const usage = answer.usage as { input_tokens: number; output_tokens: number };
    const text = output.map(({ content }) => joined(content)).join("");
    return { text, input: usage.input_tokens, output: usage.output_tokens };
  },
  piece: (event) => (event.type === "response.output_text.delta" ? String(event.delta) : ""),
  isLast: ({ type }) => type === "response.completed" || type === "response.incomplete",
};

interface GeminiAnswer {
  candidates?: { content?: { parts?: Part[] }; finishReason?: string }[];
  usageMetadata: { promptTokenCount: number; candidatesTokenCount: number };
}

const GEMINI: Door = {
  name: "Gemini",
  path(model, isStream) {
    const method = isStream ? "streamGenerateContent?alt=sse" : "generateContent";
    return `/v1beta/models/${model.split("/").map(encodeURIComponent).join("/")}:${method}`;
  },
  body: () => ({
    contents: [{ role: "user", parts: [{ text: QUESTION }] }],
    generationConfig: { temperature: 0, maxOutputTokens: MAX_TOKENS },
  }),
  read(answer) {
    const { candidates, usageMetadata } = answer as unknown as GeminiAnswer;
    return {
      text: joined(candidates?.[0]?.content?.parts),
      input: usageMetadata.promptTokenCount,
      output: usageMetadata.candidatesTokenCount,
    };
  },
  piece: (event) => joined((event as unknown as GeminiAnswer).candidates?.[0]?.content?.parts),
  isLast: (event) => (event as unknown as GeminiAnswer).candidates?.[0]?.finishReason !== undefined,
};

export async function checkDoors(live: Live, report: Report): Promise<void> {
  for (const door of [MESSAGES, RESPONSES, GEMINI]) {
    await report.check(`${door.name} door, plain and streamed`, () => answers(live, door));
  }
}

async function answers(live: Live, door: Door): Promise<string> {
  const { seed: _, ...exact } = EXACT;
  const chat = { model: live.model, messages: [user(QUESTION)], ...exact };
  const [own, repeats] = await ownAnswer(live, "/v1/chat/completions", chat);
  const [choice] = own.json.choices as Choice[];
  const body = door.body(live.model);
  const { json } = await good(live.door, door.path(live.model, false), body);
  const read = door.read(json);
  if (repeats) expectSame(read.text, choice?.message.content, "text");
  expectSame([read.input, read.output], counts(own.json.usage as Usage), "usage");
  const isGemini = door === GEMINI;
  const asked = isGemini ? body : { ...body, stream: true };
  const streamed = await stream(live.door, door.path(live.model, true), asked);
  expectThat(streamed.broken === undefined, `the stream broke: ${streamed.broken}`);
  expectThat(streamed.events.some(door.isLast), "the stream has no last event");
  const text = streamed.events.map(door.piece).join("");
  if (repeats) expectSame(whole(text), whole(choice?.message.content), "streamed text");
  return `${repeats ? "same text" : "it does not repeat itself"}, ${read.input} + ${read.output}`;
}
