import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { Authenticator } from "../../../src/door/auth.ts";

const sha256 = (key: string) => createHash("sha256").update(key).digest("hex");
const keys = [{ sha256: sha256("secret"), tenant: "acme", models: ["m"] }];

describe("API keys", () => {
  test("without configured keys everybody is let in", () => {
    const auth = new Authenticator({ keys: [], adminKeys: [] });
    expect(auth.caller({})).toEqual({ tenant: "default", models: [] });
  });

  const pop = { host: "127.0.0.1:8801" };

  test.each([
    [{ "sec-fetch-site": "same-origin", origin: "http://127.0.0.1:8801" }],
    [{ "sec-fetch-site": "none" }],
    [{ origin: "http://127.0.0.1:8801" }],
    [{ origin: "http://[::1]:8801", host: "[::1]:8801" }],
    [{ origin: "http://localhost:8801", host: "localhost:8801" }],
    [{ origin: "https://pop.example", host: "pop.example" }],
  ])("without keys a page of the PoP's own site is let in, too (%o)", async (headers) => {
    const auth = new Authenticator({ keys: [], adminKeys: [] });
    expect(auth.caller({ ...pop, ...headers })).toMatchObject({ tenant: "default" });
    await expect(auth.admin({ ...pop, ...headers })).resolves.toBeDefined();
  });

  test.each([
    [{ "sec-fetch-site": "cross-site" }],
    [{ "sec-fetch-site": "same-site", origin: "http://127.0.0.1:3000" }],
    [{ origin: "https://evil.example" }],
    [{ origin: "http://127.0.0.1:3000" }],
    [{ origin: "null" }],
    // Its name leads here by now.
    [{ origin: "http://evil.example:8801", host: "evil.example:8801" }],
    [{ origin: "http://1.2.3.4.evil.example:8801", host: "1.2.3.4.evil.example:8801" }],
  ])("a page of another site is not, and needs its key where there are keys (%o)", async (page) => {
    const headers = { ...pop, ...page };
    const refused = expect.objectContaining({ code: "invalid_request", status: 403 });
    const open = new Authenticator({ keys: [], adminKeys: [] });
    expect(() => open.caller(headers)).toThrow(refused);
    await expect(open.admin(headers)).rejects.toEqual(refused);
    const closed = new Authenticator({ keys, adminKeys: [] });
    const known = { ...headers, authorization: "Bearer secret" };
    expect(await closed.caller(known)).toMatchObject({ tenant: "acme" });
  });

  test.each([
    [{ authorization: "Bearer secret" }],
    [{ authorization: "bearer  secret" }],
    [{ "x-api-key": "secret" }],
  ])("a right key says the tenant, at once the second time (%o)", async (headers) => {
    const auth = new Authenticator({ keys, adminKeys: [] });
    expect(await auth.caller(headers)).toEqual({ tenant: "acme", models: ["m"] });
    expect(auth.caller(headers)).not.toBeInstanceOf(Promise);
  });

  test.each([
    [{ authorization: "Bearer wrong" }],
    [{ authorization: "Basic secret" }],
    [{ authorization: "Bearer " }],
    [{ "x-api-key": "x".repeat(1000) }],
    [{}],
  ])("anything else is refused with what to send (%o)", async (headers) => {
    const auth = new Authenticator({ keys, adminKeys: [] });
    await expect(async () => auth.caller(headers)).rejects.toMatchObject({
      code: "invalid_api_key",
      status: 401,
    });
  });

  test("administrators have keys of their own", async () => {
    const auth = new Authenticator({ keys, adminKeys: [{ sha256: sha256("root") }] });
    await expect(auth.admin({ "x-api-key": "root" })).resolves.toBeDefined();
    await expect(auth.admin({ "x-api-key": "secret" })).rejects.toMatchObject({ status: 401 });
  });

  test("a key that was taken out of the config is not remembered", async () => {
    const auth = new Authenticator({ keys, adminKeys: [] });
    await auth.caller({ "x-api-key": "secret" });
    auth.configure({ keys: [{ sha256: sha256("new"), tenant: "b", models: [] }], adminKeys: [] });
    await expect(async () => auth.caller({ "x-api-key": "secret" })).rejects.toThrow();
  });
});
