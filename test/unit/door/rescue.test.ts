import { describe, expect, it } from "vitest";
import { errorEvent } from "../../../src/door/error-forms.ts";
import { errorHeaders, openAiErrorBody } from "../../../src/door/rescue.ts";
import { ERROR_CODES, type ErrorCode, GridError } from "../../../src/grid/errors.ts";

describe("openAiErrorBody", () => {
  it.each<[ErrorCode, string]>([
    ["invalid_json", "invalid_request_error"],
    ["model_not_found", "invalid_request_error"],
    ["payload_too_large", "invalid_request_error"],
    ["invalid_api_key", "authentication_error"],
    ["model_not_allowed", "permission_error"],
    ["saturated", "rate_limit_error"],
    ["no_endpoint", "server_error"],
    ["first_token_timeout", "server_error"],
  ])("%s is an OpenAI %s", (code, type) => {
    const body = openAiErrorBody(new GridError(code, "Change this.", { param: "x" }));
    expect(body).toEqual({ error: { message: "Change this.", type, param: "x", code } });
  });

  it("says param null where there is none, for every code", () => {
    for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
      const { error } = openAiErrorBody(new GridError(code, "m"));
      expect(error.param).toBeNull();
      expect(error.type).toMatch(/_error$/);
    }
  });

  it.each([
    ["connect ECONNREFUSED 127.0.0.1:8000", ["127.0.0.1", "8000"]],
    ["connect ECONNREFUSED ::1:8000", ["::1", "8000"]],
    ["fetch http://gpu-7.dc1.example.com:8000/v1/chat failed", ["gpu-7", "example"]],
    ["getaddrinfo ENOTFOUND vllm.prod.svc", ["vllm", "svc"]],
    ["other side closed gpu-7:8000.", ["gpu-7", "8000"]],
    ["no route to [fd00::12]:9000", ["fd00"]],
    ["refused: Bearer abc.def-123 is wrong", ["abc.def"]],
    ["key sk-proj_abcdefgh1234 is wrong", ["abcdefgh"]],
  ])("hides places and keys in %j", (message, secrets) => {
    for (const code of ["connect_failed", "internal", "endpoint_error"] as const) {
      const shown = openAiErrorBody(new GridError(code, message)).error.message;
      for (const secret of secrets) expect(shown).not.toContain(secret);
      expect(shown).toMatch(/\[(address|key)\]/);
    }
  });

  it("leaves our own words about the caller's request as they are", () => {
    const message = "'messages[0].content' must be a string: line 1:20, see http://x.example.";
    expect(openAiErrorBody(new GridError("invalid_request", message)).error.message).toBe(message);
    const plain = "No endpoint serves the model 'a/b:7b' now. Try again in 3.5 s (tier core).";
    const shown = openAiErrorBody(new GridError("no_endpoint", plain)).error.message;
    expect(shown).toBe(plain);
  });

  it("bounds a long message of an endpoint", () => {
    for (const text of ["a.".repeat(50_000), "a".repeat(100_000), "[:".repeat(50_000)]) {
      const shown = openAiErrorBody(new GridError("endpoint_error", text)).error.message;
      expect(shown.length).toBeLessThanOrEqual(20_000);
    }
  });
});

describe("errorEvent", () => {
  it("is one event whatever the message holds", () => {
    const error = new GridError("truncated", "cut\n\ndata: [DONE]\r\n\r\n\u2028");
    const text = new TextDecoder().decode(errorEvent("chat", error, "r"));
    expect(text).toMatch(/^data: [^\r\n]*\n\n$/);
    const sent = JSON.parse(text.slice(6));
    expect(sent.error).toMatchObject({ type: "server_error", code: "truncated" });
  });
});

describe("errorHeaders", () => {
  const retryAfter = (code: ErrorCode, retryAfterS?: number): string | undefined =>
    errorHeaders(new GridError(code, "m", { retryAfterS }), false)["retry-after"];

  it("gives whole seconds, at least one, on 429 and 503", () => {
    expect(retryAfter("saturated")).toBe("1");
    expect(retryAfter("saturated", 0)).toBe("1");
    expect(retryAfter("saturated", 0.2)).toBe("1");
    expect(retryAfter("no_endpoint", 2.1)).toBe("3");
    expect(retryAfter("draining", Number.NaN)).toBe("1");
    expect(retryAfter("draining", Number.POSITIVE_INFINITY)).toBe("3600");
    expect(retryAfter("invalid_json")).toBeUndefined();
    expect(retryAfter("connect_failed")).toBeUndefined();
  });

  it("stops the SDK's own retries where we have tried or where it cannot help", () => {
    const should = (code: ErrorCode, retried: boolean): string | undefined =>
      errorHeaders(new GridError(code, "m"), retried)["x-should-retry"];
    expect(should("connect_failed", true)).toBe("false");
    expect(should("connect_failed", false)).toBeUndefined();
    expect(should("saturated", false)).toBeUndefined();
    expect(should("internal", false)).toBe("false");
    expect(should("invalid_json", true)).toBeUndefined();
  });

  it("names the methods of the path on 405 only, and the scheme on 401", () => {
    const allow = ["GET", "HEAD"];
    const of = (code: ErrorCode) => errorHeaders(new GridError(code, "m"), false, allow);
    expect(of("method_not_allowed").allow).toBe("GET, HEAD");
    expect(of("not_found").allow).toBeUndefined();
    expect(of("invalid_api_key")["www-authenticate"]).toBe("Bearer");
  });
});
