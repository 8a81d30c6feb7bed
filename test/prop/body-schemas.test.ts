/** `/openapi.json` says what is checked: a body passes the door exactly when it fits the schema. */
import { Validator } from "@cfworker/json-schema";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openApi } from "../../src/door/openapi.ts";
import { GridError } from "../../src/grid/errors.ts";
import { BODY_SCHEMAS } from "../../src/task/body-schemas.ts";
import { parseBody } from "../../src/task/dialects/table.ts";
import { type Route, ROUTES } from "../../src/task/route.ts";
import { holds } from "./holds.ts";

const encoder = new TextEncoder();
const fatal = new TextDecoder("utf-8", { fatal: true });
const decode = (bytes: Uint8Array): string => fatal.decode(bytes);

const BASE: Partial<Record<Route, object>> = {
  chat: { model: "m", messages: [{ role: "user", content: "x" }] },
  completions: { model: "m", prompt: "x" },
  embeddings: { model: "m", input: "x" },
  messages: { model: "m", max_tokens: 5, messages: [{ role: "user", content: "x" }] },
  "count-tokens": { model: "m", messages: [{ role: "user", content: "x" }] },
};
/** Checked part by part, or beyond what a schema of one field can say. */
const PARTS = ["messages", "tools", "system", "prompt", "input"];
const DEEPER = ["metadata", "tool_choice", "thinking", "output_config"];

const value = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    false,
    "",
    "x",
    -1,
    0,
    1,
    2,
    0.5,
    101,
    Number.MAX_VALUE,
    -0.5,
  ),
  fc.constantFrom<unknown>({}, [], ["a"], [1], { type: "text" }, { type: 1 }, "a".repeat(2_000)),
  fc.integer(),
  fc.double({ noNaN: true }),
);

describe.each(Object.keys(BASE) as Route[])("the schema of %s", (route) => {
  const schema = BODY_SCHEMAS[route] as { properties: Record<string, object> };
  const names = Object.keys(schema.properties).filter(
    (name) => !PARTS.includes(name) && !DEEPER.includes(name),
  );

  it("accepts what the door accepts, and nothing else", async () => {
    const validator = new Validator(schema, "2020-12");
    const fields = fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 3 });
    await holds(
      fc.property(fields, (more) => {
        const json = JSON.stringify({ ...BASE[route], ...more });
        let accepted = true;
        try {
          parseBody(route, encoder.encode(json), decode, "/");
        } catch (error) {
          expect(error).toBeInstanceOf(GridError);
          accepted = false;
        }
        const body = JSON.parse(json);
        expect({ json, fits: validator.validate(body).valid }).toEqual({ json, fits: accepted });
      }),
    );
  });
});

describe("the description", () => {
  it("has every door, and no reference to nowhere", () => {
    const text = JSON.stringify(openApi());
    const { paths, components } = JSON.parse(text);
    const posts = Object.values(paths as Record<string, { post?: { operationId: string } }>);
    const ids = posts.flatMap(({ post }) => (post === undefined ? [] : [post.operationId]));
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.filter((id) => !id.endsWith("-stream")).sort()).toEqual([...ROUTES].sort());
    for (const [, name] of text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)) {
      expect(components.schemas).toHaveProperty([name]);
    }
  });
});
