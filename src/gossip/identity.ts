/**
 * Who a PoP is. A PoP id is 8 bytes, written as 16 hexadecimal digits; it stands in a certificate
 * that the grid's authority signed, so it outlives keys. Signing is handed in: Ed25519 in earnest,
 * an HMAC with one grid key where the operator accepts that every key holder is everybody (then
 * `verify` ignores the public key). Everything signed names the grid and a purpose, so that no
 * signature can be used for another thing.
 *
 *     certificate = [ body, signature of the authority ]
 *     body        = [ nid 8 B, public key, zone, roles, capacity, not after (unix s) ]
 */
import { encode, Reader, SchemaError, Writer } from "./codec.ts";

/** 16 lower-case hexadecimal digits. */
export type Nid = string;

/** Synchronous, because the core is; a runtime without such calls brings a pure implementation. */
export interface Signer {
  sign(bytes: Uint8Array): Uint8Array;
  verify(publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean;
}

export const ROLE = { relay: 1, leaf: 2 } as const;

export interface CertificateClaims {
  nid: Nid;
  publicKey: Uint8Array;
  zone: string;
  /** Bits of `ROLE`. */
  roles: number;
  /** Most concurrent requests that this PoP may claim to take; the grid clips what it says. */
  capacity: number;
  /** Unix seconds. */
  notAfterS: number;
}

export interface Certificate extends CertificateClaims {
  bytes: Uint8Array;
}

export const MAX_CERTIFICATE_BYTES = 512;
export const MAX_SIGNATURE_BYTES = 128;

/** @throws SchemaError unless `nid` is 16 hexadecimal digits. */
export function nidToBytes(nid: Nid): Uint8Array {
  const bytes = new Uint8Array(8);
  let valid = nid.length === 16;
  for (let i = 0; i < 16 && valid; i++) {
    const code = nid.charCodeAt(i);
    // 0 to 9, a to f; nothing else, so that an id is written in one way only.
    const digit = code >= 0x30 && code <= 0x39 ? code - 0x30 : code - 0x57;
    valid = digit >= 0 && digit < 16 && (code <= 0x39 || code >= 0x61);
    bytes[i >> 1] = (bytes[i >> 1] << 4) | digit;
  }
  if (!valid) throw new SchemaError(`PoP id "${nid}" must be 16 hexadecimal digits`);
  return bytes;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
/** Ids read before, by their halves: one string each, which tables find without hashing it anew. */
const READ = new Map<number, Map<number, Nid>>();
const READ_MAX = 8_192;
let readCount = 0;

export function nidFromBytes(bytes: Uint8Array): Nid {
  const high = (bytes[0] << 24) | (bytes[1] << 16) | (bytes[2] << 8) | bytes[3];
  const low = (bytes[4] << 24) | (bytes[5] << 16) | (bytes[6] << 8) | bytes[7];
  const known = READ.get(high)?.get(low);
  if (known !== undefined) return known;
  let nid = "";
  for (let i = 0; i < 8; i++) nid += HEX[bytes[i]];
  // A hostile frame may be full of ids that nobody has.
  if (++readCount > READ_MAX) {
    READ.clear();
    readCount = 1;
  }
  const lows = READ.get(high) ?? new Map<number, Nid>();
  READ.set(high, lows.set(low, nid));
  return nid;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** What a signature covers: the purpose and the grid stand before the content. */
export function signedBytes(gridId: string, purpose: string, body: Uint8Array): Uint8Array {
  return new Writer().array(4).str("gridmesh/1").str(gridId).str(purpose).bin(body).bytes();
}

/** Made by the grid's authority, whose private key signs. */
export function issueCertificate(
  claims: CertificateClaims,
  gridId: string,
  authority: Pick<Signer, "sign">,
): Uint8Array {
  const { nid, publicKey, zone, roles, capacity, notAfterS } = claims;
  const body = encode([nidToBytes(nid), publicKey, zone, roles, capacity, notAfterS]);
  return encode([body, authority.sign(signedBytes(gridId, "certificate", body))]);
}

/** The shape alone; nothing is verified. @throws SchemaError */
export function parseCertificate(bytes: Uint8Array): {
  certificate: Certificate;
  body: Uint8Array;
  signature: Uint8Array;
} {
  const outer = new Reader(bytes);
  outer.array(2, 2);
  const body = outer.bin(1, MAX_CERTIFICATE_BYTES);
  const signature = outer.bin(1, MAX_SIGNATURE_BYTES);
  outer.end();
  const inner = new Reader(body);
  inner.array(6, 6);
  const certificate = {
    nid: nidFromBytes(inner.bin(8, 8)),
    publicKey: inner.bin(0, 64).slice(),
    zone: inner.str(0, 64),
    roles: inner.int(0, 255),
    capacity: inner.int(),
    notAfterS: inner.int(),
    bytes: bytes.slice(),
  };
  inner.end();
  return { certificate, body, signature };
}

/** Signs for this PoP and checks what others signed, within one grid. */
export class Keyring {
  readonly gridId: string;
  private readonly signer: Signer;
  private readonly authorities: readonly Uint8Array[];

  /** `authorities`: public keys of the grid's roots; two while one replaces the other. */
  constructor(gridId: string, signer: Signer, authorities: readonly Uint8Array[]) {
    if (authorities.length === 0) throw new SchemaError("the grid needs at least one root key");
    this.gridId = gridId;
    this.signer = signer;
    this.authorities = authorities;
  }

  sign(purpose: string, body: Uint8Array): Uint8Array {
    return this.signer.sign(signedBytes(this.gridId, purpose, body));
  }

  check(purpose: string, key: Uint8Array, body: Uint8Array, signature: Uint8Array): boolean {
    return this.signer.verify(key, signedBytes(this.gridId, purpose, body), signature);
  }

  /** The certificate when a root of this grid signed it and it has not run out. */
  certificate(bytes: Uint8Array, nowS: number): Certificate | undefined {
    const { certificate, body, signature } = parseCertificate(bytes);
    if (certificate.notAfterS < nowS) return undefined;
    const trusted = this.authorities.some((key) => this.check("certificate", key, body, signature));
    return trusted ? certificate : undefined;
  }
}
