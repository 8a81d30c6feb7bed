import { expect, test } from "vitest";
import { CodedError, transportError } from "../../../edge/transport-errors.ts";

const REQUEST = { origin: "http://engine:8000", method: "POST", path: "/v1", headers: {} } as const;

test("a name of which no address can be reached says what each of them said", () => {
  const refused = ["connect ECONNREFUSED ::1:8000", "connect ECONNREFUSED 127.0.0.1:8000"];
  const errors = refused.map((message) => new CodedError("ECONNREFUSED", message));
  const { code, message } = transportError(
    Object.assign(new AggregateError(errors), { code: "ECONNREFUSED" }),
    REQUEST,
    false,
    false,
    false,
  );
  expect(code).toBe("connect_failed");
  expect(message).toBe(`POST http://engine:8000/v1 not sent: ${refused.join(", ")}`);
});
