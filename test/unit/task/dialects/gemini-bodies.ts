/** Bodies of Gemini's API and how they are read, for the tests of this folder. */
import { GridError } from "../../../../src/grid/errors.ts";
import { parseBody } from "../../../../src/task/dialects/table.ts";
import type { Route } from "../../../../src/task/route.ts";

export const encoder = new TextEncoder();
export const fatal = new TextDecoder("utf-8", { fatal: true });
export const PATH = "/v1beta/models/m:generateContent";

export function parse(route: Route, body: unknown, path = PATH) {
  const bytes = encoder.encode(JSON.stringify(body));
  return parseBody(route, bytes, (given) => fatal.decode(given), path);
}

export function errorOf(work: () => unknown): GridError {
  try {
    work();
  } catch (error) {
    if (error instanceof GridError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

export const PNG = "iVBORw0KGgo=";
export const SCHEMA = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
};

/** One conversation with everything that both dialects can say. */
export const GEMINI = {
  systemInstruction: { parts: [{ text: "Be brief." }] },
  contents: [
    {
      role: "user",
      parts: [
        { text: "What is this?" },
        { inlineData: { mimeType: "image/png", data: PNG } },
        { fileData: { mimeType: "image/png", fileUri: "https://example.net/cat.png" } },
      ],
    },
    {
      role: "model",
      parts: [
        { text: "Wait." },
        { functionCall: { id: "c1", name: "weather", args: { city: "Oslo" } } },
      ],
    },
    {
      role: "user",
      parts: [
        { functionResponse: { id: "c1", name: "weather", response: { output: "3 degrees" } } },
      ],
    },
    { role: "user", parts: [{ text: "Thanks" }] },
  ],
  tools: [
    {
      functionDeclarations: [
        { name: "weather", description: "Weather of a city", parametersJsonSchema: SCHEMA },
      ],
    },
  ],
  toolConfig: { functionCallingConfig: { mode: "ANY" } },
  generationConfig: {
    ...{ maxOutputTokens: 64, temperature: 0.5, topP: 0.9, stopSequences: ["END"] },
    ...{ responseMimeType: "application/json", responseJsonSchema: SCHEMA },
  },
};
