import { generateKeyPairSync } from "node:crypto";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { runCa } from "../../../edge/cli-ca.ts";
import {
  certificateBytes,
  certificateText,
  ed25519Signer,
  hmacSigner,
  diskStore,
  loadIdentity,
  nidOf,
  rawPublicKey,
} from "../../../edge/identity.ts";
import { issueCertificate, ROLE } from "../../../src/gossip/identity.ts";
import { parseConfig } from "../../../src/config.ts";
import type { GossipConfig } from "../../../src/config-gossip.ts";

const root = mkdtempSync(join(tmpdir(), "gridpoint-identity-"));
afterAll(() => rmSync(root, { recursive: true }));

/** What `ca` prints is for people; the files are what counts. */
async function ca(...args: string[]): Promise<void> {
  const { write } = process.stdout;
  process.stdout.write = () => true;
  try {
    expect(await runCa(args)).toBe(0);
  } finally {
    process.stdout.write = write;
  }
}

function gossip(section: object): GossipConfig {
  const parsed = parseConfig({ gossip: { grid: "g", ...section } });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.config.gossip as GossipConfig;
}

const files = (pop: string) =>
  gossip({ certificate: `${pop}.cert`, key: `${pop}.key`, roots: "roots.pub" });

describe("signers", () => {
  const { privateKey } = generateKeyPairSync("ed25519");
  const bytes = Uint8Array.of(1, 2, 3);

  test("Ed25519 holds for its own key and bytes only", () => {
    const signer = ed25519Signer(privateKey);
    const key = rawPublicKey(privateKey);
    const other = rawPublicKey(generateKeyPairSync("ed25519").privateKey);
    const signature = signer.sign(bytes);
    expect(signature).toHaveLength(64);
    expect(signer.verify(key, bytes, signature)).toBe(true);
    expect(signer.verify(other, bytes, signature)).toBe(false);
    expect(signer.verify(key, Uint8Array.of(1, 2, 4), signature)).toBe(false);
    expect(signer.verify(key, bytes, signature.slice(1))).toBe(false);
    expect(signer.verify(new Uint8Array(5), bytes, signature)).toBe(false);
    expect(signer.verify(new Uint8Array(32).fill(255), bytes, signature)).toBe(false);
  });

  test("a shared key holds for whoever has it", () => {
    const none = new Uint8Array(0);
    const signature = hmacSigner("one").sign(bytes);
    expect(hmacSigner("one").verify(none, bytes, signature)).toBe(true);
    expect(hmacSigner("two").verify(none, bytes, signature)).toBe(false);
    expect(hmacSigner("one").verify(none, bytes, none)).toBe(false);
  });

  test("the text form of a certificate comes back, and other text says what is missing", () => {
    const certificate = new Uint8Array(200).map((_, i) => i);
    expect(certificateBytes(certificateText(certificate), "x")).toEqual(certificate);
    expect(() => certificateBytes("nothing", "x.cert")).toThrow(/x\.cert holds no GRIDPOINT/);
  });
});

describe("an identity from files", async () => {
  const dir = join(root, "ca");
  await ca("init", "--dir", dir, "--grid", "g");
  await ca("issue", "--dir", dir, "--pop", "tokyo", "--zone", "asia", "--out", root);

  test("keys are for their owner's eyes", () => {
    for (const file of [join(dir, "root.key"), join(root, "tokyo.key")]) {
      expect(statSync(file).mode & 0o777).toBe(0o600);
    }
  });

  test("names the PoP by grid and name, and remembers its epoch", () => {
    const identity = loadIdentity(files("tokyo"), "tokyo", diskStore(root));
    expect(identity.nid).toBe(nidOf("g", "tokyo"));
    expect(identity.warnings).toEqual([]);
    expect(identity.persistedEpoch).toBe(0);
    identity.saveEpoch(1_700_000_000_123);
    expect(loadIdentity(files("tokyo"), "tokyo", diskStore(root)).persistedEpoch).toBe(
      1_700_000_000_123,
    );
    writeFileSync(join(root, "tokyo.key.epoch"), "soon");
    expect(() => loadIdentity(files("tokyo"), "tokyo", diskStore(root))).toThrow(
      /holds no epoch; remove it/,
    );
    writeFileSync(join(root, "tokyo.key.epoch"), "\n");
    const empty = loadIdentity(files("tokyo"), "tokyo", diskStore(root));
    expect(empty.persistedEpoch).toBe(0);
    expect(empty.warnings).toEqual([expect.stringContaining("is empty: the clock begins")]);
    // An hour ahead is another clock's; two days ahead no PoP would take.
    const [hour, days] = [3_600_000, 2 * 86_400_000].map((ms) => Date.now() + ms);
    identity.saveEpoch(hour as number);
    expect(loadIdentity(files("tokyo"), "tokyo", diskStore(root)).persistedEpoch).toBe(hour);
    identity.saveEpoch(days as number);
    const ahead = loadIdentity(files("tokyo"), "tokyo", diskStore(root));
    expect(ahead.persistedEpoch).toBe(0);
    expect(ahead.warnings.join()).toContain("an epoch of the future");
    rmSync(join(root, "tokyo.key.epoch"));
  });

  test("a renewed certificate is for the same key and the same PoP", async () => {
    const key = readFileSync(join(root, "tokyo.key"));
    await ca("issue", "--dir", dir, "--pop", "tokyo", "--days", "30", "--out", root);
    expect(readFileSync(join(root, "tokyo.key")).equals(key)).toBe(true);
    const { notAfterS } = loadIdentity(files("tokyo"), "tokyo", diskStore(root));
    expect(notAfterS - Date.now() / 1000).toBeGreaterThan(29 * 86_400);
    await ca("issue", "--dir", dir, "--pop", "tokyo", "--new-key", "--out", root);
    expect(readFileSync(join(root, "tokyo.key")).equals(key)).toBe(false);
    loadIdentity(files("tokyo"), "tokyo", diskStore(root));
  });

  test("says what does not fit", async () => {
    const other = join(root, "other");
    await ca("init", "--dir", other, "--grid", "g");
    await ca("issue", "--dir", other, "--pop", "osaka", "--out", other);
    const load = (config: GossipConfig, pop: string) => () =>
      loadIdentity(config, pop, diskStore(root));
    const [certificate, key] = ["other/osaka.cert", "other/osaka.key"];
    const roots = "roots.pub";
    expect(load(files("tokyo"), "kyoto")).toThrow(/issued for another PoP than pop\.id "kyoto"/);
    expect(load(gossip({ certificate, key, roots }), "osaka")).toThrow(/not signed by a root/);
    expect(load(gossip({ certificate, key: "tokyo.key", roots }), "osaka")).toThrow(/another key/);
    expect(load(gossip({ certificate, key: "none", roots }), "osaka")).toThrow(/cannot be read/);
    const swapped = gossip({ certificate, key: "roots.pub", roots });
    expect(load(swapped, "osaka")).toThrow(/no key that can be read/);
  });

  test("a certificate that ran out says so, one that soon will is a warning", async () => {
    const authority = generateKeyPairSync("ed25519");
    const pop = generateKeyPairSync("ed25519");
    const write = (seconds: number) => {
      const nid = nidOf("g", "late");
      const notAfterS = Math.floor(Date.now() / 1000) + seconds;
      const publicKey = rawPublicKey(pop.privateKey);
      const claims = { nid, publicKey, zone: "z", roles: ROLE.relay, capacity: 1, notAfterS };
      const bytes = issueCertificate(claims, "g", ed25519Signer(authority.privateKey));
      writeFileSync(join(root, "late.cert"), certificateText(bytes));
    };
    const pem = { type: "pkcs8", format: "pem" } as const;
    writeFileSync(join(root, "late.key"), pop.privateKey.export(pem));
    chmodSync(join(root, "late.key"), 0o644);
    const spki = authority.publicKey.export({ type: "spki", format: "pem" });
    writeFileSync(join(root, "late.pub"), spki);
    const config = gossip({ certificate: "late.cert", key: "late.key", roots: "late.pub" });
    write(-10);
    expect(() => loadIdentity(config, "late", diskStore(root))).toThrow(
      /ran out at .*gridpoint ca issue/,
    );
    write(3_600);
    expect(loadIdentity(config, "late", diskStore(root)).warnings).toEqual([
      expect.stringMatching(/can be read by others/),
      expect.stringMatching(/runs out at/),
    ]);
  });

  test("a shared key needs no file, and the log says what it means", () => {
    const config = gossip({ sharedKey: "0123456789abcdef" });
    const identity = loadIdentity(config, "pop-1", diskStore(root));
    expect(identity.keyring.certificate(identity.certificate, 0)?.nid).toBe(nidOf("g", "pop-1"));
    expect(identity.warnings[0]).toMatch(/can speak for every PoP/);
    identity.saveEpoch(5);
    expect(loadIdentity(config, "pop-1", diskStore(root)).persistedEpoch).toBe(0);
  });
});
