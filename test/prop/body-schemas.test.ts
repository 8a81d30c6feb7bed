/** `/openapi.json` says what is checked: a body passes the door exactly when it fits the schema. */
import { Validator } from "@cfworker/json-schema";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openApi } from "../../src/door/openapi.ts";
import { GridError } from "../../src/grid/errors.ts";
import { BODY_SCHEMAS } from "../../src/task/body-schemas.ts";
import { parseBody } from "../../src/task/dialects/table.ts";
import { pathOf, type Route, ROUTES } from "../../src/task/route.ts";
import { holds } from "./holds.ts";

const encoder = new TextEncoder();
const fatal = new TextDecoder("utf-8", { fatal: true });
const decode = (bytes: Uint8Array): string => fatal.decode(bytes);

const contents = [{ role: "user", parts: [{ text: "x" }] }];
const content = { parts: [{ text: "x" }] };
const BASE: Readonly<Record<Route, object>> = {
  chat: { model: "m", messages: [{ role: "user", content: "x" }] },
  completions: { model: "m", prompt: "x" },
  embeddings: { model: "m", input: "x" },
  messages: { model: "m", max_tokens: 5, messages: [{ role: "user", content: "x" }] },
  "count-tokens": { model: "m", messages: [{ role: "user", content: "x" }] },
  responses: { model: "m", input: "x" },
  "input-tokens": { model: "m", input: "x" },
  gemini: { contents },
  "gemini-count": { contents },
  "gemini-embed": { content },
  "gemini-embed-batch": { requests: [{ content }] },
};
/** Where the drawn fields stand: most of Gemini's are a section's. */
const placed = (route: Route, drawn: object): object => {
  if (route === "gemini") return { ...BASE[route], generationConfig: drawn };
  if (route === "gemini-embed-batch") return { requests: [{ content, ...drawn }] };
  return { ...BASE[route], ...drawn };
};
/** The schema whose fields are drawn. */
const fieldsOf = (route: Route): object => {
  const schema = BODY_SCHEMAS[route] as never as Properties;
  const { generationConfig, requests } = schema.properties ?? {};
  return generationConfig ?? requests?.items ?? schema;
};
interface Properties {
  properties?: Record<string, { items?: object }>;
}
/** Checked part by part, or beyond what a schema of one field can say. */
const PARTS = ["messages", "tools", "system", "prompt", "input", "content"];
const DEEPER = ["metadata", "tool_choice", "thinking", "output_config", "previous_response_id"];

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

function accepts(route: Route, json: string): boolean {
  const path = `/v1${pathOf(route, "m", false)}`;
  try {
    parseBody(route, encoder.encode(json), decode, path);
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(GridError);
    return false;
  }
}

const loose = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom<unknown>(null, true, 0, "", "x", "user", "model", "assistant", "iVBORw0KGgo="),
    fc.constantFrom<unknown>("text", "message", "function_call", "function_call_output"),
    fc.constantFrom<unknown>("input_text", "input_image", "refusal", "reasoning", "item_reference"),
    fc.dictionary(
      fc.constantFrom(
        ...["role", "content", "parts", "type", "text", "id", "name", "output", "call_id", "args"],
        ...["functionCall", "functionResponse", "inlineData", "mimeType", "data", "arguments"],
        ...["image_url", "file_data", "detail", "response", "thought", "fileData", "fileUri"],
      ),
      tie("value"),
      { maxKeys: 4 },
    ),
    fc.array(tie("value"), { maxLength: 3 }),
  ),
}));
/** Where what is checked part by part stands. */
const PARTS_OF: Partial<Record<Route, string>> = {
  ...{ chat: "messages", messages: "messages", "count-tokens": "messages" },
  ...{ completions: "prompt", embeddings: "input", responses: "input", "input-tokens": "input" },
  ...{ gemini: "contents", "gemini-count": "contents", "gemini-embed": "content" },
  "gemini-embed-batch": "requests",
};
/** What was drawn, deeper inside something that the door takes. */
function deep(route: Route, drawn: unknown, depth: number): unknown {
  if (depth === 0) return drawn;
  const list = depth > 1 && Array.isArray(drawn) ? drawn : [drawn];
  if (route === "gemini-embed-batch") return [{ content: { parts: list } }];
  if (route === "gemini-embed") return { parts: list };
  if (route.startsWith("gemini")) return [{ role: "user", parts: list }];
  if (route === "completions" || route === "embeddings") return list;
  return [{ role: "user", content: list }];
}

describe.each(ROUTES)("the schema of %s", (route) => {
  const schema = BODY_SCHEMAS[route] as object;
  const names = Object.keys((fieldsOf(route) as Properties).properties ?? {}).filter(
    (name) => !PARTS.includes(name) && !DEEPER.includes(name),
  );

  it("accepts what the door accepts, and nothing else", async () => {
    const validator = new Validator(schema, "2020-12");
    const field = names.length > 0 ? fc.constantFrom(...names) : fc.constant("metadata");
    const fields = fc.dictionary(field, value, { maxKeys: 3 });
    await holds(
      fc.property(fields, (more) => {
        const json = JSON.stringify(placed(route, more));
        const accepted = accepts(route, json);
        const body = JSON.parse(json);
        expect({ json, fits: validator.validate(body).valid }).toEqual({ json, fits: accepted });
      }),
    );
  });

  it("forbids nothing that the door takes, however deep", async () => {
    const validator = new Validator(schema, "2020-12");
    const list = PARTS_OF[route] ?? "metadata";
    const body = fc.tuple(
      fc.oneof(fc.array(loose.value, { maxLength: 3 }), loose.value),
      fc.nat(3),
    );
    await holds(
      fc.property(body, ([drawn, depth]) => {
        const given = deep(route, drawn, depth);
        const json = JSON.stringify({ ...BASE[route], [list]: given });
        if (!accepts(route, json)) return;
        const { valid, errors } = validator.validate(JSON.parse(json));
        expect({ json, errors: valid ? [] : errors.slice(-2) }).toEqual({ json, errors: [] });
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
