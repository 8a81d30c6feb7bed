/**
 * Gemini's own Schema as JSON Schema: OpenAPI 3.0's subset, with types in capitals, `nullable`
 * beside the type, and an order of properties. Newer callers send JSON Schema itself.
 */
import { type Fields, invalid, isFields } from "../body-fields.ts";

const DEPTH_MAX = 64;
/** Means nothing outside the vendor's own decoder. */
const DROPPED = ["nullable", "propertyOrdering", "property_ordering"];

export function jsonSchemaOf(value: unknown, param: string): unknown {
  return convert(value, param, DEPTH_MAX);
}

function convert(value: unknown, param: string, left: number): unknown {
  if (left === 0) throw invalid(param, `is nested more than ${DEPTH_MAX} levels deep`);
  if (Array.isArray(value)) return value.map((one) => convert(one, param, left - 1));
  if (!isFields(value)) return value;
  const schema: Fields = {};
  for (const [name, one] of Object.entries(value)) {
    if (DROPPED.includes(name)) continue;
    // The keys of `properties` are the caller's own; what stands under them is schema again.
    if (name === "properties" && isFields(one)) {
      schema[name] = Object.fromEntries(
        Object.entries(one).map(([key, inner]) => [key, convert(inner, param, left - 1)]),
      );
    } else if (name === "type" && typeof one === "string") {
      const type = one.toLowerCase();
      schema[name] = value.nullable === true ? [type, "null"] : type;
    } else if (name === "anyOf" || name === "any_of") schema.anyOf = convert(one, param, left - 1);
    else schema[name] = name === "items" ? convert(one, param, left - 1) : one;
  }
  return schema;
}
