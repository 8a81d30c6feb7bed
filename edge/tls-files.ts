/**
 * Certificates and keys for TLS, from the files that a config names: checked before anything
 * listens, with errors that name the file, and looked at again later, since they are renewed often.
 */
import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import type { Server } from "node:https";
import { resolve } from "node:path";
import type { PopConfig } from "../src/config.ts";
import type { Log } from "../src/grid/effects.ts";
import { Expiry } from "./expiry.ts";
import { IdentityError, readText } from "./identity.ts";

export type TlsConfig = NonNullable<PopConfig["listen"]["tls"]>;

export interface TlsPair {
  /** The server's own certificate and those between it and the root, PEM. */
  cert: string;
  key: string;
}

const RENEWAL_MS = 30_000;
const PEM = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/**
 * The certificate and key of a server.
 * @param folder Against which relative file names are read.
 * @throws IdentityError with the file, what is wrong and what to do.
 */
export function loadTlsPair(tls: TlsConfig, folder: string): TlsPair {
  const [certFile, keyFile] = [resolve(folder, tls.cert), resolve(folder, tls.key)];
  const cert = readText(certFile, "listen.tls.cert");
  const key = readText(keyFile, "listen.tls.key");
  const [own] = certificates(cert, "listen.tls.cert", certFile);
  let fits: boolean;
  try {
    const publicKey = createPublicKey(createPrivateKey(key));
    fits = own.publicKey.equals(publicKey);
  } catch (error) {
    const hint = "a PEM private key without passphrase is expected";
    throw new IdentityError(`listen.tls.key ${keyFile} cannot be used: ${text(error)}; ${hint}`);
  }
  if (!fits) {
    throw new IdentityError(
      `listen.tls.key ${keyFile} is not the key of ${certFile} (the first in it counts)`,
    );
  }
  const until = own.validToDate;
  if (until.getTime() < Date.now()) {
    throw new IdentityError(`listen.tls.cert ${certFile} ran out at ${until.toISOString()}`);
  }
  return { cert, key };
}

/**
 * The system's authorities and those of a file, to trust wherever this PoP dials.
 * @throws IdentityError when there is no certificate in it
 */
export function trustedAuthorities(file: string, folder: string): string[] {
  const path = resolve(folder, file);
  const found = certificates(readText(path, "peers.ca"), "peers.ca", path);
  // Its import would begin to read all the authorities of Node, in PoPs without TLS, too.
  const { getCACertificates } = process.getBuiltinModule("node:tls");
  return [...getCACertificates("default"), ...found.map(String)];
}

/** Takes a renewed pair over without a restart; open connections keep the old one. */
export function renewTls(server: Server, tls: TlsConfig, folder: string, first: TlsPair, log: Log) {
  let current = first;
  const expiry = new Expiry("tls", resolve(folder, tls.cert), notAfterMs(first), log);
  const look = () => {
    try {
      const next = loadTlsPair(tls, folder);
      if (next.cert === current.cert && next.key === current.key) return;
      server.setSecureContext({ ...next });
      current = next;
      expiry.renewed(notAfterMs(next));
      log("info", "tls certificate renewed", { file: tls.cert });
    } catch (error) {
      // Two files are not replaced at one moment: the next look sees both.
      log("warn", "tls certificate not renewed", { message: text(error) });
    } finally {
      expiry.look();
    }
  };
  return { look, expiry, timer: setInterval(look, RENEWAL_MS).unref() };
}

const notAfterMs = ({ cert }: TlsPair) => new X509Certificate(cert).validToDate.getTime();

/** For the tools that ask a PoP: what to do about a certificate that this machine does not know. */
export function trustHint(code: string): string {
  const distrust = /CERT|SIGNATURE|ALTNAME|ISSUER/.test(code);
  return distrust ? "; NODE_EXTRA_CA_CERTS=FILE names an authority to trust" : "";
}

function certificates(pem: string, what: string, file: string): X509Certificate[] {
  const blocks = pem.match(PEM) ?? [];
  if (blocks.length === 0) {
    throw new IdentityError(
      `${what} ${file} holds no PEM certificate (-----BEGIN CERTIFICATE-----)`,
    );
  }
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      const which = `certificate ${index + 1} of ${blocks.length}`;
      throw new IdentityError(`${what} ${file}: ${which} cannot be read: ${text(error)}`);
    }
  });
}

const text = (error: unknown): string => (error instanceof Error ? error.message : String(error));
