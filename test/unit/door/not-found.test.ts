import { expect, test } from "vitest";
import { nothingAt } from "../../../src/door/not-found.ts";

const said = (path: string) => nothingAt("POST", path).message;

test.each([
  ["/chat/completions", "/v1/chat/completions"],
  ["/v1/v1/chat/completions", "/v1/chat/completions"],
  ["//v1/chat/completions", "/v1/chat/completions"],
  ["/v1/chat/completions/", "/v1/chat/completions"],
  ["/v1/v1/messages/count_tokens", "/v1/messages/count_tokens"],
  ["/models/", "/v1/models"],
  ["/v1/metrics", "/metrics"],
  ["/grid/state/", "/grid/state"],
])("%s is told of %s", (path, near) => {
  expect(said(path)).toContain(`Nothing is at POST ${path}. Did you mean ${near}? OpenAI's SDKs`);
});

test.each(["/", "/v1", "/v1/audio/speech", "/v1/constructor", `/${"a/".repeat(5_000)}`])(
  "another path is told what there is",
  (path) => {
    expect(said(path)).toMatch(/^Nothing is at POST \/.*This PoP serves \/v1\/models, .*chat/);
    expect(said(path).length).toBeLessThan(900);
  },
);
