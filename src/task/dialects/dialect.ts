/** What the task needs to know of a dialect's requests, both ways. */
import type { BodyLimits, Fields } from "../body-fields.ts";
import type { Decode } from "../json-body.ts";
import type { EmbedRequest, InferenceRequest } from "../request.ts";
import type { Route } from "../route.ts";
import type { ParsedBody } from "../task.ts";

export interface ParseInput {
  route: Route;
  bytes: Uint8Array;
  decode: Decode;
  limits: BodyLimits;
  /** Path and query at the door, for dialects that name the model there. */
  path: string;
}

/** Where a model's name may stand. */
export interface Named {
  body: Uint8Array;
  path: string;
}

export interface RequestDialect {
  /** @throws GridError invalid_utf8, invalid_json, invalid_request; `param` names the field */
  parse(input: ParseInput): ParsedBody;
  /**
   * What a body means, for an engine of another dialect.
   * @throws GridError invalid_request for what has no meaning outside the dialect
   */
  toRequest(fields: Fields): InferenceRequest;
  /**
   * A body for an engine of this dialect.
   * @param strict only what the vendor itself documents
   */
  fromRequest(request: InferenceRequest, strict: boolean): Fields;
  /**
   * The same request for another model.
   * @throws GridError invalid_request when the name stands where it cannot be replaced
   */
  withModel(request: Named, model: string): Named;
  /** The same for embeddings, where the dialect has them. */
  toTexts?(fields: Fields): EmbedRequest;
  fromTexts?(request: EmbedRequest, model: string): Fields;
}
