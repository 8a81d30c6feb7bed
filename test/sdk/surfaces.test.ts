/** Models, embeddings and token counts, at the vendors and through a PoP. */
import { describe } from "vitest";
import { DIRECT, THROUGH_POP } from "./stage.ts";
import { surfacesSuite } from "./surfaces.suite.ts";

describe("direct", () => surfacesSuite(DIRECT));
describe("through a PoP", () => surfacesSuite(THROUGH_POP));
