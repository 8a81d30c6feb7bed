/**
 * Two hellos, two signatures, then the link is open. Each side signs both nonces, ids, epochs and
 * instances, the grid and its own part in the dialogue, so that a signature from one link, one
 * direction or one grid is worth nothing in another.
 *
 *     A -> B  HELLO   B -> A  HELLO
 *     A -> B  AUTH    B -> A  AUTH
 *     A -> B  WELCOME, own claim, SUM ...   and the same from B
 */
import { encode, utf8Encode } from "./codec.ts";
import type { Context } from "./context.ts";
import type { Certificate } from "./identity.ts";
import { type Link, send } from "./link.ts";
import type { Member } from "./members.ts";
import { authFrame, type Hello, helloFrame, PROTOCOL_VERSION } from "./message.ts";

/** Sends our half as soon as the link is up. */
export function sayHello(context: Context, link: Link, self: Member, role: number): void {
  const { claim, certificate } = self;
  link.role = role;
  link.nonce = Uint8Array.from({ length: 16 }, () => context.options.rng() & 0xff);
  const hello: Hello = {
    version: PROTOCOL_VERSION,
    gridId: context.keyring.gridId,
    certificate: certificate.bytes,
    epoch: claim.epoch,
    instance: claim.instance,
    nonce: link.nonce,
    role,
  };
  link.ownHello = hello;
  send(context, link, helloFrame(hello));
}

/** Why a hello is turned away; undefined: it is fine, and the link knows its peer. */
export function takeHello(
  context: Context,
  link: Link,
  self: Member,
  hello: Hello,
): string | undefined {
  if (link.peerHello !== undefined) return "hello-twice";
  if (hello.version !== PROTOCOL_VERSION) return "version";
  if (hello.gridId !== context.keyring.gridId) return "other-grid";
  const certificate = context.keyring.certificate(hello.certificate, 0);
  if (certificate === undefined) return "certificate";
  // Not proven yet, but enough to say who it is that is turned away.
  link.peer = certificate.nid;
  if (certificate.notAfterS < context.unixS) return "expired";
  if (certificate.nid === self.nid) return "own-id";
  if (hello.epoch > context.unixMs + context.limits.epochAheadMs) return "future-epoch";
  link.peerHello = hello;
  link.certificate = certificate;
  link.role = Math.max(link.role, hello.role);
  link.phase = "auth";
  send(context, link, authFrame(context.keyring.sign("auth", dialogue(link, true))));
  return undefined;
}

/** Whether the peer holds the key of its certificate and speaks on this very link. */
export function takeAuth(context: Context, link: Link, signature: Uint8Array): boolean {
  const certificate = link.certificate as Certificate;
  const said = dialogue(link, false);
  return context.keyring.check("auth", certificate.publicKey, said, signature);
}

/** Both hellos, the dialler's first, and which side signs. */
function dialogue(link: Link, own: boolean): Uint8Array {
  const weDialled = link.dialled !== undefined;
  const ours = link.ownHello as Hello;
  const theirs = link.peerHello as Hello;
  const [dialler, acceptor] = weDialled ? [ours, theirs] : [theirs, ours];
  const side = weDialled === own ? "dialler" : "acceptor";
  return encode([utf8Encode(side), helloFrame(dialler), helloFrame(acceptor)]);
}

/** Orders two ids; the lower one's dial wins when both dial each other. */
export function diallerWins(selfNid: string, link: Link): boolean {
  const peer = link.peer as string;
  const lower = selfNid < peer ? "self" : "peer";
  return (link.dialled !== undefined) === (lower === "self");
}
