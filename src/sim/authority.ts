/**
 * Signatures for the simulator: as long as Ed25519's and as strict, but quick, seeded and worth
 * nothing outside. A public key names a secret that only its owner's signer and this authority
 * know, so a simulated forger cannot sign for another.
 */
import {
  issueCertificate,
  Keyring,
  type Nid,
  nidFromBytes,
  type Signer,
} from "../gossip/identity.ts";
import type { Rng } from "../grid/effects.ts";

const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

function digest(secret: number, bytes: Uint8Array): Uint8Array {
  let a = secret ^ 0x811c9dc5;
  let b = Math.imul(secret, 0x85ebca6b) ^ bytes.length;
  for (let i = 0; i < bytes.length; i++) {
    a = Math.imul(a ^ bytes[i], 0x01000193);
    b = Math.imul(b + bytes[i], 0xc2b2ae35) ^ (b >>> 15);
  }
  const signature = new Uint8Array(SIGNATURE_BYTES);
  for (let i = 0; i < SIGNATURE_BYTES; i++) {
    a = Math.imul(a ^ (a >>> 13) ^ b, 0x5bd1e995);
    b = (b + a) | 0;
    signature[i] = a >>> 24;
  }
  return signature;
}

/** The first 48 bits: enough to tell the keys of one grid apart. */
const nameOf = (key: Uint8Array) =>
  ((key[0] << 16) | (key[1] << 8) | key[2]) * 0x100_0000 +
  ((key[3] << 16) | (key[4] << 8) | key[5]);

/** The grid's root and everybody's keys. */
export class SimAuthority {
  readonly gridId: string;
  private readonly rng: Rng;
  private readonly secrets = new Map<number, number>();
  private readonly rootKey: Uint8Array;
  private readonly root: Signer;

  constructor(gridId: string, rng: Rng) {
    this.gridId = gridId;
    this.rng = rng;
    const { publicKey, signer } = this.newKey();
    this.rootKey = publicKey;
    this.root = signer;
  }

  /** A PoP's certificate and its keyring. */
  admit(
    index: number,
    zone: string,
    notAfterS: number,
  ): { nid: Nid; certificate: Uint8Array; keyring: Keyring } {
    const id = Uint8Array.from({ length: 8 }, (_, i) => (i < 6 ? this.rng() & 0xff : 0));
    id[6] = index >> 8;
    id[7] = index & 0xff;
    const nid = nidFromBytes(id);
    const { publicKey, signer } = this.newKey();
    const claims = { nid, publicKey, zone, roles: 1, capacity: 1000, notAfterS };
    const certificate = issueCertificate(claims, this.gridId, this.root);
    return { nid, certificate, keyring: new Keyring(this.gridId, signer, [this.rootKey]) };
  }

  private newKey(): { publicKey: Uint8Array; signer: Signer } {
    const publicKey = Uint8Array.from({ length: KEY_BYTES }, () => this.rng() & 0xff);
    const secret = this.rng();
    this.secrets.set(nameOf(publicKey), secret);
    const verify: Signer["verify"] = (key, bytes, signature) => {
      const known = this.secrets.get(nameOf(key));
      if (known === undefined || signature.length !== SIGNATURE_BYTES) return false;
      const right = digest(known, bytes);
      return right.every((byte, i) => byte === signature[i]);
    };
    return { publicKey, signer: { sign: (bytes) => digest(secret, bytes), verify } };
  }
}
