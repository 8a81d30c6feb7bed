/**
 * A small value that fits a JSON Schema, for answers of the emulated engine: every property that is
 * named, the first of every choice. It knows what schemas of tools and outputs use; what it does
 * not know (`pattern`, `not`, `if`) it does not keep.
 */
type Schema = Record<string, unknown>;

const DEPTH_MAX = 12;
const ITEMS_MAX = 16;
const FORMATS: Readonly<Record<string, string>> = {
  ...{ date: "2026-01-02", time: "03:04:05Z", "date-time": "2026-01-02T03:04:05Z" },
  ...{ email: "a@example.com", uri: "https://example.com/" },
  uuid: "00000000-0000-4000-8000-000000000000",
};

const isSchema = (value: unknown): value is Schema =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const numberOr = (value: unknown, otherwise: number): number =>
  typeof value === "number" ? value : otherwise;

export function instanceOf(schema: unknown): unknown {
  return build(schema, isSchema(schema) ? schema : {}, 0);
}

function build(schema: unknown, root: Schema, depth: number): unknown {
  if (!isSchema(schema) || depth > DEPTH_MAX) return null;
  if ("const" in schema) return schema.const;
  if (Array.isArray(schema.enum)) return schema.enum[0];
  if (typeof schema.$ref === "string") return build(resolved(schema.$ref, root), root, depth + 1);
  for (const key of ["anyOf", "oneOf"]) {
    const choices = schema[key];
    if (Array.isArray(choices)) return build(choices[0], root, depth + 1);
  }
  if (Array.isArray(schema.allOf)) {
    const parts = schema.allOf.map((part) => build(part, root, depth + 1));
    return parts.every(isSchema) ? Object.assign({}, ...parts) : parts[0];
  }
  switch (typeOf(schema)) {
    case "object":
      return objectOf(schema, root, depth);
    case "array":
      return arrayOf(schema, root, depth);
    case "string":
      return textOf(schema);
    case "integer":
    case "number":
      return numberOf(schema);
    case "boolean":
      return true;
    default:
      return null;
  }
}

function typeOf(schema: Schema): unknown {
  const { type } = schema;
  if (Array.isArray(type)) return type[0];
  if (type !== undefined) return type;
  return schema.items !== undefined ? "array" : "object";
}

/** `#/$defs/name`: places within the schema only. */
function resolved(ref: string, root: Schema): unknown {
  let at: unknown = root;
  for (const step of ref.split("/").slice(1)) {
    const name = step.replace(/~1/g, "/").replace(/~0/g, "~");
    at = isSchema(at) && Object.hasOwn(at, name) ? at[name] : undefined;
  }
  return at;
}

/** Deep inside only what must be there, so that a schema which contains itself comes to an end. */
function objectOf(schema: Schema, root: Schema, depth: number): Schema {
  const { properties, required } = schema;
  const needed: readonly unknown[] = Array.isArray(required) ? required : [];
  const named = Object.entries(isSchema(properties) ? properties : {});
  const kept = named.filter(([name]) => depth < DEPTH_MAX / 3 || needed.includes(name));
  return Object.fromEntries(kept.map(([name, one]) => [name, build(one, root, depth + 1)]));
}

function arrayOf(schema: Schema, root: Schema, depth: number): unknown[] {
  const least = numberOr(schema.minItems, depth < DEPTH_MAX / 3 ? 1 : 0);
  const most = numberOr(schema.maxItems, ITEMS_MAX);
  const length = Math.min(least, most, ITEMS_MAX);
  return Array.from({ length }, () => build(schema.items, root, depth + 1));
}

function textOf({ format, minLength, maxLength }: Schema): string {
  const known = typeof format === "string" ? FORMATS[format] : undefined;
  const text = known ?? "emulated";
  return text.padEnd(numberOr(minLength, 0), ".").slice(0, numberOr(maxLength, 4_096));
}

function numberOf({ type, minimum, exclusiveMinimum, maximum, multipleOf }: Schema): number {
  const least = Math.max(
    numberOr(minimum, Number.NEGATIVE_INFINITY),
    numberOr(exclusiveMinimum, Number.NEGATIVE_INFINITY) + 1,
  );
  const step = numberOr(multipleOf, type === "integer" ? 1 : 0);
  const low = Number.isFinite(least) ? least : Math.min(1, numberOr(maximum, 1));
  return step > 0 ? Math.ceil(low / step) * step : low;
}
