/** What the models of the suites say, and what they are asked. */
import type { AskedTurn, Asked, Scene, Stop, Usage } from "../vendors/scene.ts";
import type { Client, Heard, Wish, WishTurn } from "./clients/client.ts";

export const USAGE: Usage = { input: 120, cached: 64, output: 30, reasoning: 11 };

const ARGS = { city: "Zürich", days: 3, note: 'a "quoted" \\ line\nand 🚀' };

/** A string in three pieces, cut anywhere. */
function inPieces(text: string): string[] {
  const third = Math.ceil(text.length / 3);
  return [text.slice(0, third), text.slice(third, 2 * third), text.slice(2 * third)];
}

const text = { kind: "text", pieces: ["Grüezi", " — ", "世界", " 👋\n"] } as const;
const reasoning = { kind: "reasoning", pieces: ["Let me ", "think."] } as const;
const call = (id: string, name: string, args: object) => ({
  ...{ kind: "call" as const, id, name, pieces: inPieces(JSON.stringify(args)) },
});

export const SPOKEN: Scene = { say: [text], stop: "end", usage: USAGE };
export const THOUGHT: Scene = { say: [reasoning, text], stop: "end", usage: USAGE };
export const CALLED: Scene = {
  say: [text, call("call_a", "weather", ARGS), call("call_b", "clock", { zone: "UTC" })],
  stop: "calls",
  usage: USAGE,
};
/** All kinds of events in one answer: what the losses are counted on. */
export const EVERYTHING: Scene = {
  say: [reasoning, text, call("call_a", "weather", ARGS)],
  stop: "calls",
  usage: USAGE,
};
export const stopped = (stop: Stop): Scene => ({ ...SPOKEN, stop });

/** The smallest PNG: one transparent pixel. */
export const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E" +
  "rkJggg==";

const weather = {
  name: "weather",
  description: "The weather of a city",
  schema: {
    type: "object" as const,
    properties: { city: { type: "string" }, days: { type: "integer" } },
    required: ["city"],
  },
};
const clock = {
  name: "clock",
  description: "The time in a zone",
  schema: { type: "object" as const, properties: { zone: { type: "string" } } },
};

export const wish = (model: string, turns?: WishTurn[]): Wish => ({
  ...{ model, maxTokens: 300 },
  turns: turns ?? [{ role: "user", text: "How is the weather in Zürich?" }],
});

export const withTools = (model: string): Wish => ({ ...wish(model), tools: [weather, clock] });

/** Every field that a wish may have. */
export function fullWish(model: string): Wish {
  return {
    ...withTools(model),
    system: "You are brief.",
    temperature: 0.25,
    turns: [
      { role: "user", text: "What is this?", image: { media: "image/png", data: PIXEL } },
      { role: "assistant", text: "A pixel." },
      { role: "user", text: "And the weather where it was taken?" },
      {
        ...{ role: "assistant", text: "I shall look." },
        calls: [
          { id: "call_1", name: "weather", args: { city: "Bern" } },
          { id: "call_2", name: "clock", args: { zone: "UTC+1" } },
        ],
      },
      {
        role: "tool",
        results: [
          { id: "call_1", name: "weather", text: "rain, 9 °C" },
          { id: "call_2", name: "clock", text: "12:00" },
        ],
      },
      { role: "user", text: "Thank you. And tomorrow?" },
    ],
  };
}

function turnAsked(turn: WishTurn): AskedTurn {
  if (turn.role === "tool") {
    const parts = turn.results.map(({ name, text }) => ({ kind: "result" as const, name, text }));
    return { role: "tool", parts };
  }
  const said = turn.text === undefined ? [] : [{ kind: "text" as const, text: turn.text }];
  if (turn.role === "user") {
    const image = turn.image === undefined ? [] : [{ kind: "image" as const, ...turn.image }];
    return { role: "user", parts: [...said, ...image] };
  }
  const calls = (turn.calls ?? []).map(({ name, args }) => ({
    ...{ kind: "call" as const, name, args },
  }));
  return { role: "assistant", parts: [...said, ...calls] };
}

/** What a vendor must have understood of a wish. */
export function askedOf(wished: Wish): Partial<Asked> {
  return {
    model: wished.model,
    system: wished.system,
    turns: wished.turns.map(turnAsked),
    maxTokens: wished.maxTokens,
    temperature: wished.temperature,
  };
}

/** What a client must hear of a scene. */
export function heardOf(scene: Scene, { deaf }: Client): Heard {
  const pieces = (kind: "text" | "reasoning"): string =>
    scene.say.flatMap((one) => (one.kind === kind ? one.pieces : [])).join("");
  return {
    text: pieces("text"),
    reasoning: deaf?.reasoning === undefined ? pieces("reasoning") : "",
    calls: scene.say.flatMap((one) =>
      one.kind === "call" ? [{ name: one.name, args: JSON.parse(one.pieces.join("")) }] : [],
    ),
    stop: scene.stop,
    usage: deaf?.reasoningTokens === undefined ? scene.usage : { ...scene.usage, reasoning: 0 },
    returned: true,
  };
}
