/**
 * A model that does as it is asked: calls the tool that it is given, fills the schema that it is
 * given, else speaks. For conformance suites, which bring questions of their own.
 */
import { type Asked, type Fields, isFields, type Plot, type Scene } from "./scene.ts";

const USAGE = { input: 12, cached: 4, output: 6, reasoning: 0 };

export function obedientScene({ turns, tools, choice, schema }: Asked): Scene {
  const named = typeof choice === "object" ? choice.name : undefined;
  const tool = tools.find(({ name }) => named === undefined || name === named);
  const answered = turns.at(-1)?.role === "tool";
  if (tool !== undefined && choice !== "none" && (named !== undefined || !answered)) {
    const pieces = inHalves(JSON.stringify(exampleOf(tool.schema)));
    const call = { kind: "call" as const, id: "call_1", name: tool.name, pieces };
    return { say: [call], stop: "calls", usage: USAGE };
  }
  const text =
    schema === undefined ? "CANARY_OK, at your service." : JSON.stringify(exampleOf(schema));
  return { say: [{ kind: "text", pieces: inHalves(text) }], stop: "end", usage: USAGE };
}

export const obedient = (asked: Asked): Plot => ({ kind: "answers", scene: obedientScene(asked) });

const inHalves = (text: string): string[] => {
  const half = Math.ceil(text.length / 2);
  return [text.slice(0, half), text.slice(half)];
};

/** A value that a JSON Schema of objects, arrays, enums and scalars allows. */
function exampleOf(schema: unknown): unknown {
  if (!isFields(schema)) return {};
  if (Array.isArray(schema.enum)) return schema.enum[0];
  switch (schema.type) {
    case "string":
      return "CANARY_OK";
    case "integer":
    case "number":
      return 1;
    case "boolean":
      return true;
    case "array":
      return [exampleOf(schema.items)];
    default: {
      const properties = isFields(schema.properties) ? schema.properties : ({} as Fields);
      return Object.fromEntries(
        Object.entries(properties).map(([name, one]) => [name, exampleOf(one)]),
      );
    }
  }
}
