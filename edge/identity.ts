/**
 * Who this PoP is in its grid, on Node: Ed25519 from OpenSSL, or an HMAC with one shared key where
 * the operator accepts that every holder of the key is everybody. A PoP's id on the wire is derived
 * from the grid's name and its own, so that a new certificate is still the same PoP, and nobody
 * can take a name that the authority gave to another.
 */
import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign as signWith,
  timingSafeEqual,
  verify as verifyWith,
} from "node:crypto";
import { readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import {
  type Certificate,
  issueCertificate,
  Keyring,
  type Nid,
  parseCertificate,
  ROLE,
  sameBytes,
  type Signer,
} from "../src/gossip/identity.ts";
import { GOSSIP_LIMITS } from "../src/gossip/limits.ts";
import type { GossipConfig } from "../src/config-gossip.ts";

/** What a person has to put right: a file that is missing, does not fit or has run out. */
export class IdentityError extends Error {}

export interface Identity {
  nid: Nid;
  certificate: Uint8Array;
  publicKey: Uint8Array;
  keyring: Keyring;
  /** Unix seconds; when the certificate runs out. */
  notAfterS: number;
  /** What should be said in the log at the start. */
  warnings: string[];
  persistedEpoch: number;
  saveEpoch(epoch: number): void;
}

/** Where an identity is kept; names are those of the config: files, or bindings of a worker. */
export interface IdentityStore {
  /** @throws IdentityError when there is no such text. */
  text(name: string, what: string): string;
  /** The name as people find it. */
  place(name: string): string;
  /** True when others than its owner can read it. */
  exposed(name: string): boolean;
  /** Undefined when there is none yet. */
  epoch(name: string | undefined): string | undefined;
  saveEpoch(name: string | undefined, text: string): void;
}

const CERTIFICATE = "GRIDPOINT CERTIFICATE";
/** Public keys met; far above the members of any grid that a full mesh or overlay carries. */
const KEYS_KEPT = 4096;
const SOON_S = 86_400;

/** 8 bytes of SHA-256, as 16 hexadecimal digits: the same for every certificate of that PoP. */
export function nidOf(grid: string, pop: string): Nid {
  const hash = createHash("sha256").update(`gridpoint/pop\n${grid}\n${pop}`);
  return hash.digest("hex").slice(0, 16);
}

export function rawPublicKey(key: KeyObject): Uint8Array {
  const publicKey = key.type === "private" ? createPublicKey(key) : key;
  const { x } = publicKey.export({ format: "jwk" });
  return new Uint8Array(Buffer.from(x as string, "base64url"));
}

/** Signs with an Ed25519 key and verifies with the raw public keys of others. */
export function ed25519Signer(privateKey: KeyObject): Signer {
  const keys = new Map<string, KeyObject>();
  const keyOf = (raw: Uint8Array): KeyObject => {
    const x = Buffer.from(raw).toString("base64url");
    const known = keys.get(x);
    if (known !== undefined) return known;
    const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
    if (keys.size >= KEYS_KEPT) keys.clear();
    keys.set(x, key);
    return key;
  };
  return {
    sign: (bytes) => new Uint8Array(signWith(null, bytes, privateKey)),
    verify: (publicKey, bytes, signature) => {
      if (publicKey.length !== 32 || signature.length !== 64) return false;
      return verifyWith(null, bytes, keyOf(publicKey), signature);
    },
  };
}

/** The low-end option: whoever holds the key can sign for every PoP of the grid. */
export function hmacSigner(sharedKey: string): Signer {
  const tag = (bytes: Uint8Array) =>
    new Uint8Array(createHmac("sha256", sharedKey).update(bytes).digest());
  return {
    sign: tag,
    verify: (_publicKey, bytes, signature) =>
      signature.length === 32 && timingSafeEqual(tag(bytes), signature),
  };
}

export function certificateText(bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${CERTIFICATE}-----`, ...lines, `-----END ${CERTIFICATE}-----`, ""].join(
    "\n",
  );
}

/** @throws IdentityError when the text is no certificate. */
export function certificateBytes(text: string, file: string): Uint8Array {
  const found = new RegExp(`-----BEGIN ${CERTIFICATE}-----([A-Za-z0-9+/=\\s]+)-----END`).exec(text);
  if (found === null) {
    throw new IdentityError(`${file} holds no ${CERTIFICATE}; "gridpoint ca issue" writes one`);
  }
  return new Uint8Array(Buffer.from(found[1], "base64"));
}

/** Raw keys of every root in a file. @throws IdentityError */
export function rootKeys(text: string, file: string): Uint8Array[] {
  const blocks = text.match(/-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----/g) ?? [];
  if (blocks.length === 0) {
    throw new IdentityError(
      `${file} holds no PUBLIC KEY; it is the root.pub of "gridpoint ca init"`,
    );
  }
  return blocks.map((block) => {
    const key = parsed(() => createPublicKey(block), file);
    ed25519(key, file);
    return rawPublicKey(key);
  });
}

/** @throws IdentityError unless the text is an Ed25519 private key in PEM. */
export function privateKeyOf(text: string, file: string): KeyObject {
  const key = parsed(() => createPrivateKey(text), file);
  ed25519(key, file);
  return key;
}

function ed25519(key: KeyObject, file: string): void {
  if (key.asymmetricKeyType === "ed25519") return;
  throw new IdentityError(`${file} holds a key of type ${key.asymmetricKeyType}, not ed25519`);
}

function parsed(parse: () => KeyObject, file: string): KeyObject {
  try {
    return parse();
  } catch (error) {
    throw new IdentityError(`${file} holds no key that can be read: ${(error as Error).message}`);
  }
}

/** @throws IdentityError with the file, what is wrong and what to do. */
export function readText(file: string, what: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new IdentityError(`${what} ${file} cannot be read: ${(error as Error).message}`);
  }
}

/** Files, against `folder`. */
export function diskStore(folder: string): IdentityStore {
  const place = (name: string) => resolve(folder, name);
  return {
    place,
    text: (name, what) => readText(place(name), what),
    exposed: (name) => (statSync(place(name)).mode & 0o077) !== 0,
    epoch: (name) => (name === undefined ? undefined : readEpoch(place(name))),
    saveEpoch: (name, text) => {
      if (name !== undefined) writeWhole(place(name), text);
    },
  };
}

/**
 * The identity that a config names.
 * @throws IdentityError
 */
export function loadIdentity(config: GossipConfig, pop: string, store: IdentityStore): Identity {
  const nowS = Math.floor(Date.now() / 1000);
  const identity =
    config.sharedKey === undefined
      ? issuedIdentity(config, pop, store, nowS)
      : sharedIdentity(config, pop);
  const name = config.epochFile ?? (config.key === undefined ? undefined : `${config.key}.epoch`);
  const text = store.epoch(name)?.trim();
  const kept = epochOf(text, name);
  // What a machine leaves that lost its power before the disk had the text.
  if (text === "") identity.warnings.push(`${name} is empty: the clock begins the epoch`);
  // From a clock that was far ahead: no PoP has taken it, nor would take what follows it.
  const isAhead = kept > Date.now() + GOSSIP_LIMITS.epochAheadMs;
  if (isAhead) identity.warnings.push(`${name} holds an epoch of the future: the clock begins it`);
  const persistedEpoch = isAhead ? 0 : kept;
  const saveEpoch = (epoch: number) => store.saveEpoch(name, `${epoch}\n`);
  return { ...identity, persistedEpoch, saveEpoch };
}

type Loaded = Omit<Identity, "persistedEpoch" | "saveEpoch">;

/** Every PoP issues its own: the shared key is the authority. */
function sharedIdentity(config: GossipConfig, pop: string): Loaded {
  const signer = hmacSigner(config.sharedKey as string);
  const nid = nidOf(config.grid, pop);
  const notAfterS = Number.MAX_SAFE_INTEGER;
  const none = new Uint8Array(0);
  const capacity = Number.MAX_SAFE_INTEGER;
  const { zone, grid } = config;
  const claims = { nid, publicKey: none, zone, roles: ROLE.relay, capacity, notAfterS };
  const certificate = issueCertificate(claims, grid, signer);
  const warnings = ["gossip.sharedKey: whoever holds it can speak for every PoP of the grid"];
  const keyring = new Keyring(grid, signer, [none]);
  return { nid, certificate, publicKey: none, keyring, notAfterS, warnings };
}

function issuedIdentity(
  config: GossipConfig,
  pop: string,
  store: IdentityStore,
  nowS: number,
): Loaded {
  const names = [config.key, config.certificate, config.roots] as [string, string, string];
  const [keyFile, certificateFile, rootsFile] = names.map(store.place);
  const read = (at: number, what: string) => store.text(names[at], what);
  const privateKey = privateKeyOf(read(0, "gossip.key"), keyFile);
  const bytes = certificateBytes(read(1, "gossip.certificate"), certificateFile);
  const roots = rootKeys(read(2, "gossip.roots"), rootsFile);
  const keyring = new Keyring(config.grid, ed25519Signer(privateKey), roots);
  const { certificate } = parsedCertificate(bytes, certificateFile);
  const again = `issue it anew: gridpoint ca issue --pop ${pop}`;
  if (certificate.notAfterS < nowS) {
    throw new IdentityError(
      `${certificateFile} ran out at ${day(certificate.notAfterS)}; ${again}`,
    );
  }
  if (!sameBytes(certificate.publicKey, rawPublicKey(privateKey))) {
    throw new IdentityError(
      `${certificateFile} was issued for another key than ${keyFile}; ${again}`,
    );
  }
  if (keyring.certificate(bytes, nowS) === undefined) {
    throw new IdentityError(
      `${certificateFile} is not signed by a root in ${rootsFile} for grid "${config.grid}"`,
    );
  }
  const nid = nidOf(config.grid, pop);
  if (certificate.nid !== nid) {
    throw new IdentityError(`${certificateFile} was issued for another PoP than pop.id "${pop}"`);
  }
  const warnings = warningsOf(store.exposed(names[0]) ? keyFile : undefined, certificate, nowS);
  const { publicKey, notAfterS } = certificate;
  return { nid, certificate: bytes, publicKey, keyring, notAfterS, warnings };
}

function parsedCertificate(bytes: Uint8Array, file: string) {
  try {
    return parseCertificate(bytes);
  } catch (error) {
    throw new IdentityError(`${file} is damaged: ${(error as Error).message}`);
  }
}

function warningsOf(exposed: string | undefined, { notAfterS }: Certificate, nowS: number) {
  const warnings: string[] = [];
  if (exposed !== undefined) {
    warnings.push(`${exposed} can be read by others than its owner; chmod 600 it`);
  }
  if (notAfterS - nowS < SOON_S) warnings.push(`the certificate runs out at ${day(notAfterS)}`);
  return warnings;
}

export function day(unixS: number): string {
  return new Date(unixS * 1000).toISOString().replace(/\.\d+Z$/, "Z");
}

function readEpoch(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new IdentityError(`the epoch ${file} cannot be read: ${(error as Error).message}`);
  }
}

/** 0 when there is none yet. @throws IdentityError on a text with something else in it. */
function epochOf(text: string | undefined, name: string | undefined): number {
  if (text === undefined || text === "") return 0;
  const epoch = Number(text);
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(epoch)) return epoch;
  throw new IdentityError(`${name} holds no epoch; remove it to start from the clock`);
}

/** Whole or not at all: a half-written epoch would stop the next start. */
function writeWhole(file: string, text: string): void {
  writeFileSync(`${file}.new`, text, { mode: 0o600, flush: true });
  renameSync(`${file}.new`, file);
}
