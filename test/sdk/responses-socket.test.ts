/** Responses over WebSocket: at the vendor, and at a PoP once it has that door. */
import { describe } from "vitest";
import { responsesSocketSuite } from "./responses-socket.suite.ts";
import { DIRECT, THROUGH_POP } from "./stage.ts";

for (const stage of [...DIRECT, ...THROUGH_POP]) {
  if (stage.client.door !== "responses over WebSocket") continue;
  describe(stage.name, () => responsesSocketSuite(stage));
}
