/**
 * `gridpoint ca init` and `gridpoint ca issue`: the authority of one grid, as files in a folder.
 * The root's private key is needed to issue only; no PoP holds it. Nothing is ever written over
 * but certificates, which are meant to be renewed.
 */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { issueCertificate, ROLE } from "../src/gossip/identity.ts";
import { type Command, type CommandLine, helpText, parseCommandLine } from "./cli-options.ts";
import { UsageError } from "./cli-options.ts";
import {
  certificateText,
  day,
  ed25519Signer,
  IdentityError,
  nidOf,
  privateKeyOf,
  rawPublicKey,
  readText,
} from "./identity.ts";

const INIT: Command = {
  usage: "gridpoint ca init --dir DIR --grid ID",
  summary: "Makes the authority of a grid: root.key (keep it offline), root.pub, grid.",
  options: {
    dir: { type: "string", value: "DIR", help: "where to; made if it is not there" },
    grid: { type: "string", value: "ID", help: "name of the grid, the same at all of its PoPs" },
  },
  notes: [
    "To replace a root: init another folder, let gossip.roots hold both root.pub for a while.",
  ],
};

const ISSUE: Command = {
  usage: "gridpoint ca issue --dir DIR --pop NAME [options]",
  summary:
    "Issues the certificate of one PoP: NAME.key, NAME.cert and roots.pub. Again: renews it.",
  options: {
    dir: { type: "string", value: "DIR", help: "the authority's folder" },
    pop: { type: "string", value: "NAME", help: "the PoP's pop.id" },
    zone: {
      type: "string",
      value: "ZONE",
      help: "where it stands, e.g. eu-west (default: default)",
    },
    roles: { type: "string", value: "LIST", help: "of relay, leaf (default: relay)" },
    capacity: {
      type: "string",
      value: "N",
      help: "most requests at once it may claim (default 4096)",
    },
    days: { type: "string", value: "N", help: "until it runs out, 1 to 3650 (default 7)" },
    out: { type: "string", value: "DIR", help: "where to (default: the authority's folder)" },
    "new-key": { type: "boolean", help: "make a new key even where NAME.key is there" },
  },
  notes: ["A key that is there already is kept, so that renewing changes NAME.cert only."],
};

const CAPACITY = 4_096;
const DAYS = 7;
const NAME = /^[A-Za-z0-9._-]{1,64}$/;

export async function runCa(args: string[]): Promise<number> {
  const [action, ...rest] = args;
  if (action === undefined || action === "-h" || action === "--help") {
    process.stdout.write(`${helpText(INIT)}\n${helpText(ISSUE)}`);
    return 0;
  }
  if (action !== "init" && action !== "issue") {
    throw new UsageError(`"${action}" is not known; gridpoint ca init, or gridpoint ca issue.`);
  }
  try {
    process.stdout.write(ca(action, rest));
    return 0;
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error;
    process.stderr.write(`gridpoint: ${error.message}\n`);
    return 1;
  }
}

/**
 * Does it and says what it did.
 * @throws IdentityError, UsageError
 */
export function ca(action: "init" | "issue", args: string[]): string {
  const command = action === "init" ? INIT : ISSUE;
  const line = parseCommandLine(command, args);
  if (line.help) return helpText(command);
  return action === "init" ? init(line) : issue(line);
}

function init(line: CommandLine): string {
  const folder = needed(line, "dir", "DIR");
  const grid = name(line, "grid", "ID");
  const keyFile = join(folder, "root.key");
  if (existsSync(keyFile)) {
    throw new IdentityError(`${keyFile} is there already: this folder has an authority`);
  }
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  makeFolder(folder);
  writeSecret(keyFile, privateKey);
  const publicText = publicKey.export({ type: "spki", format: "pem" });
  write(join(folder, "root.pub"), publicText as string);
  write(join(folder, "grid"), `${grid}\n`);
  return `grid ${grid}: ${keyFile} signs, ${join(folder, "root.pub")} goes to every PoP\n`;
}

function issue(line: CommandLine): string {
  const folder = needed(line, "dir", "DIR");
  const pop = name(line, "pop", "NAME");
  const zone = line.text("zone") ?? "default";
  if (!NAME.test(zone)) throw new UsageError(`--zone must be ${NAME_WORDS}.`);
  const roles = rolesOf(line.text("roles") ?? "relay");
  const capacity = line.count("capacity", 1, 1e9) ?? CAPACITY;
  const days = line.count("days", 1, 3650) ?? DAYS;
  const grid = readText(join(folder, "grid"), "the grid's name").trim();
  const rootFile = join(folder, "root.key");
  const root = privateKeyOf(readText(rootFile, "the root's key"), rootFile);
  const out = line.text("out") ?? folder;
  makeFolder(out);
  const publicKey = rawPublicKey(popKey(join(out, `${pop}.key`), line.flag("new-key")));
  const notAfterS = Math.floor(Date.now() / 1000) + days * 86_400;
  const claims = { nid: nidOf(grid, pop), publicKey, zone, roles, capacity, notAfterS };
  const bytes = issueCertificate(claims, grid, ed25519Signer(root));
  write(join(out, `${pop}.cert`), certificateText(bytes));
  write(join(out, "roots.pub"), readText(join(folder, "root.pub"), "the root's public key"));
  return [
    `PoP ${pop} (${claims.nid}) of grid ${grid}, zone ${zone}, until ${day(notAfterS)}`,
    "",
    "gossip:",
    `  grid: ${grid}`,
    `  certificate: ${resolve(out, `${pop}.cert`)}`,
    `  key: ${resolve(out, `${pop}.key`)}`,
    `  roots: ${resolve(out, "roots.pub")}`,
    "",
  ].join("\n");
}

/** The key that is there, or a new one. */
function popKey(file: string, anew: boolean): KeyObject {
  if (existsSync(file) && !anew) return privateKeyOf(readText(file, "the PoP's key"), file);
  const { privateKey } = generateKeyPairSync("ed25519");
  writeSecret(file, privateKey);
  return privateKey;
}

const NAME_WORDS = "1 to 64 letters, digits, dots, dashes or underscores";

function needed(line: CommandLine, option: string, value: string): string {
  const text = line.text(option);
  if (text === undefined || text === "") throw new UsageError(`--${option} ${value} is missing.`);
  return text;
}

function name(line: CommandLine, option: string, value: string): string {
  const text = needed(line, option, value);
  if (!NAME.test(text)) throw new UsageError(`--${option} must be ${NAME_WORDS}, got "${text}".`);
  return text;
}

function rolesOf(text: string): number {
  let roles = 0;
  for (const role of text.split(",")) {
    if (!Object.hasOwn(ROLE, role)) {
      throw new UsageError(`--roles must be of ${Object.keys(ROLE).join(", ")}, got "${role}".`);
    }
    roles |= ROLE[role as keyof typeof ROLE];
  }
  return roles;
}

function makeFolder(folder: string): void {
  attempt(folder, () => mkdirSync(folder, { recursive: true, mode: 0o700 }));
}

/** Readable by its owner only, from its first byte on. */
function writeSecret(file: string, key: KeyObject): void {
  const text = key.export({ type: "pkcs8", format: "pem" });
  attempt(file, () => writeFileSync(file, text, { mode: 0o600 }));
}

function write(file: string, text: string): void {
  attempt(file, () => writeFileSync(file, text));
}

function attempt(path: string, act: () => void): void {
  try {
    act();
  } catch (error) {
    throw new IdentityError(`${path} cannot be written: ${(error as Error).message}`);
  }
}
