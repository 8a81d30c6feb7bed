/**
 * A self-signed certificate for 127.0.0.1, made here from its parts (RFC 5280, Ed25519 as in RFC
 * 8410), since Node can read certificates but not issue them.
 */
import { generateKeyPairSync, randomUUID, sign } from "node:crypto";

export interface SelfSigned {
  cert: string;
  key: string;
}

const ED25519 = "06032b6570";

const hex = (text: string) => Buffer.from(text, "hex");

/** One DER element: tag, length, content. */
function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size =
    length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length];
  return Buffer.concat([Buffer.from([tag, ...size.map((byte) => byte & 0xff)]), content]);
}

const sequence = (...parts: Buffer[]) => der(0x30, ...parts);

/** `YYYYMMDDHHMMSSZ` */
function time(unixMs: number): Buffer {
  const digits = new Date(unixMs).toISOString().replace(/[-:T]|\.\d+/g, "");
  return der(0x18, Buffer.from(digits));
}

/** It is its own authority, valid from yesterday until `validMs` from now. */
export function selfSigned(validMs = 86_400_000): SelfSigned {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const algorithm = sequence(hex(ED25519));
  // Two authorities of one name would be taken for each other.
  const commonName = sequence(hex("0603550403"), der(0x0c, Buffer.from(randomUUID())));
  const name = sequence(der(0x31, commonName));
  const authority = sequence(
    ...[hex("0603551d13"), der(0x01, hex("ff"))],
    der(0x04, sequence(der(0x01, hex("ff")))),
  );
  const address = der(0x87, Buffer.from([127, 0, 0, 1]));
  const names = sequence(hex("0603551d11"), der(0x04, sequence(address)));
  const nowMs = Date.now();
  const body = sequence(
    der(0xa0, der(0x02, hex("02"))),
    der(0x02, hex("01")),
    algorithm,
    name,
    sequence(time(nowMs - 86_400_000), time(nowMs + validMs)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(authority, names)),
  );
  const signature = der(0x03, hex("00"), sign(null, body, privateKey));
  const base64 = sequence(body, algorithm, signature).toString("base64");
  const lines = base64.match(/.{1,64}/g)?.join("\n");
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
  };
}
