/**
 * Who is calling: an API key to a tenant. Keys stand in the config as SHA-256 only. Without
 * configured keys the door is open (a PoP on loopback), but to no web page of another site: it
 * would spend, drain and look on behalf of whoever has it open. A key that was right once is
 * remembered by its text, so the digest is computed once per key and not once per request.
 */
import { LRUCache } from "lru-cache";
import type { PopConfig } from "../config.ts";
import { GridError } from "../grid/errors.ts";
import type { Headers } from "../grid/exchange.ts";
import type { Caller } from "../proxy.ts";

type Auth = PopConfig["auth"];

/** Tenant of everybody where no keys are configured. */
const ANYBODY: Caller = { tenant: "default", models: [] };
/** Keys. As `max` the room for all of them would be made when a PoP starts. */
const BOUND = { maxSize: 10_000, sizeCalculation: () => 1 };
const KEY_CHARS_MAX = 512;

export class Authenticator {
  private callers = new Map<string, Caller>();
  private admins = new Set<string>();
  private readonly remembered = new LRUCache<string, Caller>(BOUND);
  private readonly rememberedAdmins = new LRUCache<string, true>(BOUND);

  constructor(auth: Auth) {
    this.configure(auth);
  }

  configure(auth: Auth): void {
    this.callers = new Map(auth.keys.map((k) => [k.sha256.toLowerCase(), callerOf(k)]));
    this.admins = new Set(auth.adminKeys.map((k) => k.sha256.toLowerCase()));
    this.remembered.clear();
    this.rememberedAdmins.clear();
  }

  /**
   * The caller, at once where the key is known already.
   * @throws GridError invalid_api_key; 403 for a web page of another site, where there are no keys
   */
  caller(headers: Headers): Caller | Promise<Caller> {
    if (this.callers.size === 0) {
      if (isForeignPage(headers)) throw foreignPage();
      return ANYBODY;
    }
    const key = keyOf(headers);
    return this.remembered.get(key) ?? this.look(key);
  }

  /** Passes administrators; without admin keys every caller is one. */
  async admin(headers: Headers): Promise<Caller> {
    if (this.admins.size === 0) return this.caller(headers);
    const key = keyOf(headers);
    if (!this.rememberedAdmins.has(key)) {
      if (!this.admins.has(await sha256Hex(key))) throw wrongKey("is not an administrator's");
      this.rememberedAdmins.set(key, true);
    }
    return ANYBODY;
  }

  private async look(key: string): Promise<Caller> {
    const caller = this.callers.get(await sha256Hex(key));
    if (caller === undefined) throw wrongKey("is not known here");
    this.remembered.set(key, caller);
    return caller;
  }
}

function callerOf(key: Auth["keys"][number]): Caller {
  return { tenant: key.tenant, models: key.models };
}

/** What a browser says of a request that no page of another site made. */
const OWN_SITE = ["same-origin", "none"];
/** What nobody can make lead elsewhere: an address, and the machine itself. */
const FIXED_HOST = /^([\d.]+|\[.+\]|(.+\.)?localhost)$/;

/**
 * Only browsers say where a request is from: by `sec-fetch-site` or, where the PoP is reached by
 * plain http over a network, and in a WebSocket's handshake, by `origin` alone. That a page of
 * plain http has the PoP's own name proves nothing: whose name it is can make it lead here once
 * the page is loaded (DNS rebinding).
 */
function isForeignPage(headers: Headers): boolean {
  const { origin, host } = headers;
  const site = headers["sec-fetch-site"];
  if (site !== undefined) return !OWN_SITE.includes(site);
  if (origin === undefined) return false;
  const page = URL.parse(origin);
  if (page === null || page.host !== host) return true;
  return page.protocol === "http:" && !FIXED_HOST.test(page.hostname);
}

const foreignPage = () =>
  new GridError(
    "invalid_request",
    "A web page of another site may not use a PoP that asks for no key. Call it from a backend, " +
      "or set auth.keys.",
    { status: 403 },
  );

/** `Authorization: Bearer` as most SDKs send it, `x-api-key` or `x-goog-api-key`. */
function keyOf(headers: Headers): string {
  const bearer = headers["authorization"];
  const bare = headers["x-api-key"] ?? headers["x-goog-api-key"];
  const key = bearer === undefined ? bare : /^bearer +(.+)$/i.exec(bearer)?.[1];
  if (key === undefined || key.length === 0) {
    throw new GridError(
      "invalid_api_key",
      "No API key came with the request. Send 'Authorization: Bearer KEY' or 'x-api-key: KEY'.",
    );
  }
  if (key.length > KEY_CHARS_MAX) throw wrongKey(`is longer than ${KEY_CHARS_MAX} characters`);
  return key;
}

function wrongKey(what: string): GridError {
  return new GridError("invalid_api_key", `The API key ${what}. Check the key.`);
}

async function sha256Hex(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
