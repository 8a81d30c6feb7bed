/**
 * Rules of the fields of a body: each is a check and the JSON Schema that says the same, side by
 * side, so that `/openapi.json` cannot say anything else than what is checked. `null` counts as
 * not given, as OpenAI's API has it. Fields without a rule are the engine's to judge.
 */
import {
  booleanField,
  type Fields,
  fieldsIn,
  invalid,
  isFields,
  kindOf,
  listIn,
  numberField,
  stringField,
} from "./body-fields.ts";

type Read = (fields: Fields, name: string) => unknown;
const asNamed: Read = (fields, name) => fields[name];

export type JsonSchema = Readonly<Record<string, unknown>>;

export interface FieldRule {
  schema: JsonSchema;
  /** @throws GridError invalid_request */
  check(value: unknown, name: string): void;
}

export type FieldRules = Readonly<Record<string, FieldRule>>;

const NULL = { type: "null" };

export function amount(minimum: number, maximum: number, description?: string): FieldRule {
  return {
    schema: { type: ["number", "null"], minimum, maximum, ...described(description) },
    check: (value, name) => void numberField(value, name, minimum, maximum, false),
  };
}

export function count(minimum: number, maximum: number, description?: string): FieldRule {
  return {
    schema: { type: ["integer", "null"], minimum, maximum, ...described(description) },
    check: (value, name) => void numberField(value, name, minimum, maximum, true),
  };
}

export function flag(description?: string): FieldRule {
  return {
    schema: { type: ["boolean", "null"], ...described(description) },
    check: (value, name) => void booleanField(value, name),
  };
}

export function words(maxLength: number, description?: string): FieldRule {
  return {
    schema: { type: ["string", "null"], maxLength, ...described(description) },
    check: (value, name) => void stringField(value, name, maxLength),
  };
}

export function section(description?: string): FieldRule {
  return {
    schema: { type: ["object", "null"], ...described(description) },
    check(value, name) {
      if (value === undefined || value === null || isFields(value)) return;
      throw invalid(name, `must be an object, not ${kindOf(value)}`);
    },
  };
}

/** A text of any length: the body's own bound counts. */
export function prose(description?: string): FieldRule {
  return {
    schema: { type: ["string", "null"], ...described(description) },
    check: (value, name) => void stringField(value, name, Number.POSITIVE_INFINITY),
  };
}

/** A list whose entries are looked at elsewhere. */
export function list(maxItems: number, items: JsonSchema = {}, description?: string): FieldRule {
  return {
    schema: { type: ["array", "null"], maxItems, items, ...described(description) },
    check: (value, name) => void listIn(value, name, maxItems),
  };
}

/** An object with rules of its own. */
export function fieldsRule(rules: FieldRules, read = asNamed, description?: string): FieldRule {
  const properties = Object.fromEntries(
    Object.entries(rules).map(([name, { schema }]) => [name, schema]),
  );
  return {
    schema: { type: ["object", "null"], properties, ...described(description) },
    check(value, name) {
      const fields = fieldsIn(value, name) ?? {};
      for (const field in rules) rules[field].check(read(fields, field), `${name}.${field}`);
    },
  };
}

/** One text or a list of them. */
export function texts(maxItems: number, alone: boolean): FieldRule {
  const list = { type: "array", items: { type: "string" }, maxItems };
  const what = alone ? "a string or an array of strings" : "an array of strings";
  return {
    schema: { anyOf: alone ? [{ type: "string" }, list, NULL] : [list, NULL] },
    check(value, name) {
      if (value === undefined || value === null || (alone && typeof value === "string")) return;
      if (!Array.isArray(value)) throw invalid(name, `must be ${what}, not ${kindOf(value)}`);
      if (value.length > maxItems) {
        throw invalid(name, `must have at most ${maxItems} strings, not ${value.length}`);
      }
      const wrong = value.findIndex((item) => typeof item !== "string");
      if (wrong < 0) return;
      throw invalid(`${name}[${wrong}]`, `must be a string, not ${kindOf(value[wrong])}`);
    },
  };
}

function described(description: string | undefined): JsonSchema {
  return description === undefined ? {} : { description };
}

/**
 * @param read finds a field, for dialects that spell names in two ways
 * @throws GridError invalid_request naming the first field that breaks its rule
 */
export function checkFields(body: Fields, rules: FieldRules, read = asNamed): void {
  for (const name in rules) {
    const value = read(body, name);
    if (value !== undefined && value !== null) rules[name].check(value, name);
  }
}

/**
 * The schema of a whole body.
 * @param parts what the door checks part by part, as a schema that says its outline
 */
export function bodySchema(
  rules: FieldRules,
  parts: Readonly<Record<string, JsonSchema>>,
  required: readonly string[],
): JsonSchema {
  const fields = Object.entries(rules).map(([name, { schema }]) => {
    // `null` counts as not given, so where the field must be given it may not be null.
    if (!required.includes(name) || !Array.isArray(schema.type)) return [name, schema];
    return [name, { ...schema, type: schema.type.filter((type) => type !== "null") }];
  });
  return {
    type: "object",
    required,
    properties: { ...parts, ...Object.fromEntries(fields) },
    additionalProperties: true,
  };
}
