/**
 * What a PoP signs, so that no relay can forge it: that it lives or leaves (claim), that it cannot
 * reach another (accusation), one key of its cold state (cold record). A statement travels as the
 * very bytes its author signed; nobody encodes it again.
 *
 *     claim       [ nid, epoch, inc, instance, left 0|1, address ]          "claim"
 *     accusation  [ accuser, its epoch, seq, target, epoch, inc, kind ]     "accuse"
 *                   kind 0 accuse, 1 withdraw
 *     cold        [ nid, epoch, seq, key, value bytes | nil ]               "cold"
 *                   value nil: tombstone; key "": nothing below seq counts any more
 *
 * On the wire a claim is three items (body, signature, certificate), the others are two.
 */
import { encode, Reader } from "./codec.ts";
import {
  type Certificate,
  type Keyring,
  MAX_CERTIFICATE_BYTES,
  MAX_SIGNATURE_BYTES,
  type Nid,
  nidFromBytes,
  nidToBytes,
} from "./identity.ts";

const MAX_BODY_BYTES = 512;
export const MAX_ADDRESS_BYTES = 256;
export const MAX_KEY_BYTES = 64;

export interface Signed {
  body: Uint8Array;
  signature: Uint8Array;
}

export interface Claim extends Signed {
  nid: Nid;
  epoch: number;
  inc: number;
  /** Random per process: tells two processes with one id and one epoch apart. */
  instance: number;
  left: boolean;
  /** Where its gossip listens; empty when it only dials. */
  address: string;
  certificate: Uint8Array;
}

export interface Accusation extends Signed {
  accuser: Nid;
  accuserEpoch: number;
  seq: number;
  target: Nid;
  epoch: number;
  inc: number;
  withdrawn: boolean;
}

export interface ColdRecord extends Signed {
  nid: Nid;
  epoch: number;
  seq: number;
  key: string;
  /** Null: the key is deleted. */
  value: Uint8Array | null;
}

/** Its bytes are views into the frame: what is kept is copied, and most is known already. */
export function readClaim(frame: Reader): Claim {
  const body = frame.bin(1, MAX_BODY_BYTES);
  const signature = frame.bin(1, MAX_SIGNATURE_BYTES);
  const certificate = frame.bin(1, MAX_CERTIFICATE_BYTES);
  const reader = new Reader(body);
  reader.array(6, 6);
  const claim = {
    nid: nidFromBytes(reader.bin(8, 8)),
    epoch: reader.int(1),
    inc: reader.int(0, 0xffffffff),
    instance: reader.int(0, 0xffffffff),
    left: reader.int(0, 1) === 1,
    address: reader.str(0, MAX_ADDRESS_BYTES),
    body,
    signature,
    certificate,
  };
  reader.end();
  return claim;
}

/** Views into the frame, as of a claim. */
export function readAccusation(frame: Reader): Accusation {
  const body = frame.bin(1, MAX_BODY_BYTES);
  const signature = frame.bin(1, MAX_SIGNATURE_BYTES);
  const reader = new Reader(body);
  reader.array(7, 7);
  const accusation = {
    accuser: nidFromBytes(reader.bin(8, 8)),
    accuserEpoch: reader.int(1),
    seq: reader.int(),
    target: nidFromBytes(reader.bin(8, 8)),
    epoch: reader.int(1),
    inc: reader.int(0, 0xffffffff),
    withdrawn: reader.int(0, 1) === 1,
    body,
    signature,
  };
  reader.end();
  return accusation;
}

export function ownedClaim(claim: Claim): Claim {
  const { body, signature, certificate } = claim;
  return {
    ...claim,
    body: body.slice(),
    signature: signature.slice(),
    certificate: certificate.slice(),
  };
}

export function ownedAccusation(accusation: Accusation): Accusation {
  const { body, signature } = accusation;
  return { ...accusation, body: body.slice(), signature: signature.slice() };
}

export function readCold(frame: Reader, valueBytes: number): ColdRecord {
  const body = frame.bin(1, valueBytes + MAX_BODY_BYTES).slice();
  const signature = frame.bin(1, MAX_SIGNATURE_BYTES).slice();
  const reader = new Reader(body);
  reader.array(5, 5);
  const nid = nidFromBytes(reader.bin(8, 8));
  const epoch = reader.int(1);
  const seq = reader.int(1);
  const key = reader.str(0, MAX_KEY_BYTES);
  const value = reader.nil() ? null : reader.bin(0, valueBytes);
  reader.end();
  return { nid, epoch, seq, key, value, body, signature };
}

export function makeClaim(
  keyring: Keyring,
  certificate: Certificate,
  facts: Pick<Claim, "epoch" | "inc" | "instance" | "left" | "address">,
): Claim {
  const { nid, bytes } = certificate;
  const { epoch, inc, instance, left, address } = facts;
  const body = encode([nidToBytes(nid), epoch, inc, instance, left ? 1 : 0, address]);
  const signature = keyring.sign("claim", body);
  const said = { nid, epoch, inc, instance, left, address };
  return { ...said, body, signature, certificate: bytes };
}

export function makeAccusation(
  keyring: Keyring,
  facts: Omit<Accusation, "body" | "signature">,
): Accusation {
  const { accuser, accuserEpoch, seq, target, epoch, inc, withdrawn } = facts;
  const ids = [nidToBytes(accuser), nidToBytes(target)];
  const body = encode([ids[0], accuserEpoch, seq, ids[1], epoch, inc, withdrawn ? 1 : 0]);
  return { ...facts, body, signature: keyring.sign("accuse", body) };
}

export function makeCold(
  keyring: Keyring,
  facts: Omit<ColdRecord, "body" | "signature">,
): ColdRecord {
  const { nid, epoch, seq, key, value } = facts;
  const body = encode([nidToBytes(nid), epoch, seq, key, value]);
  return { ...facts, body, signature: keyring.sign("cold", body) };
}
