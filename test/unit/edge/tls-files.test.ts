import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { IdentityError } from "../../../edge/identity.ts";
import { loadTlsPair, renewTls, trustedAuthorities } from "../../../edge/tls-files.ts";
import { selfSigned } from "../../runtime/self-signed.ts";

let folder = "";
const own = selfSigned();
const other = selfSigned();
const put = (name: string, text: string) => writeFileSync(join(folder, name), text);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "gridpoint-tls-"));
  put("own.pem", own.cert);
  put("own.key", own.key);
  put("other.key", other.key);
  put("chain.pem", own.cert + other.cert);
  put("text", "no PEM");
  put("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the pair of a server", () => {
  test("is read, also with a chain behind the certificate", () => {
    expect(loadTlsPair({ cert: "own.pem", key: "own.key" }, folder)).toEqual(own);
    expect(loadTlsPair({ cert: "chain.pem", key: "own.key" }, folder).cert).toContain(other.cert);
  });

  test.each([
    ["absent.pem", "own.key", /listen\.tls\.cert .*absent\.pem cannot be read/],
    ["own.pem", "absent.key", /listen\.tls\.key .*absent\.key cannot be read/],
    ["text", "own.key", /holds no PEM certificate/],
    ["broken.pem", "own.key", /certificate 1 of 1 cannot be read/],
    ["own.pem", "text", /listen\.tls\.key .* PEM private key without passphrase/],
    ["own.pem", "other.key", /is not the key of/],
  ])("%s with %s is refused with the file and the reason", (cert, key, reason) => {
    const load = () => loadTlsPair({ cert, key }, folder);
    expect(load).toThrow(IdentityError);
    expect(load).toThrow(reason);
  });

  test("that ran out is refused", () => {
    const past = selfSigned(-3_600_000);
    put("past.pem", past.cert);
    put("past.key", past.key);
    expect(() => loadTlsPair({ cert: "past.pem", key: "past.key" }, folder)).toThrow("ran out at");
  });
});

describe("authorities", () => {
  test("of a file come beside the system's", () => {
    const all = trustedAuthorities("chain.pem", folder);
    expect(all.length).toBeGreaterThan(2);
    expect(all.slice(-2).map((pem) => pem.trim())).toEqual(
      [own, other].map((one) => one.cert.trim()),
    );
  });

  test("a file without any is refused", () => {
    expect(() => trustedAuthorities("text", folder)).toThrow("peers.ca");
  });
});

test("a renewed pair is taken over without a restart; a bad one is not", async () => {
  put("live.pem", own.cert);
  put("live.key", own.key);
  const tls = { cert: "live.pem", key: "live.key" };
  const first = loadTlsPair(tls, folder);
  const server = createServer({ ...first }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const logged: string[] = [];
  const log = (_level: string, event: string) => logged.push(event);
  const { look, timer } = renewTls(server, tls, folder, first, log);
  try {
    const { port } = server.address() as AddressInfo;
    const shown = () =>
      new Promise<string>((resolve, reject) => {
        const trust = [own.cert, other.cert];
        const socket = connect({ host: "127.0.0.1", port, ca: trust }, () => {
          resolve(socket.getPeerX509Certificate()?.toString().trim() ?? "");
          socket.destroy();
        });
        socket.once("error", reject);
      });
    put("live.pem", other.cert);
    look();
    expect(logged).toEqual(["tls certificate not renewed"]);
    expect(await shown()).toBe(own.cert.trim());
    put("live.key", other.key);
    look();
    expect(logged[1]).toBe("tls certificate renewed");
    expect(await shown()).toBe(other.cert.trim());
  } finally {
    clearInterval(timer);
    server.close();
  }
});
