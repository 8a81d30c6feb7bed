/**
 * The sections `sockets` and `responses` of a config: the WebSockets of the door, and the responses
 * that are held so that a request may continue them.
 */
import type * as v from "valibot";
import * as knob from "./knob.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export const SocketsSection = knob.sectionOr({
  // Of `limits.connections`; an idle one costs about 40 KiB.
  max: knob.count("sockets", 0, 1_000_000, 8_192),
  // Answers that run side by side on one socket.
  lanes: knob.count("lanes", 1, 1_024, 16),
  // Requests that wait in one lane behind the one that runs.
  laneQueue: knob.count("requests", 0, 1_024, 16),
  // Unstored responses that one socket may continue.
  held: knob.count("responses", 1, 4_096, 32),
  // One event of a client: a long prompt with images. Twice as much ends the socket.
  frameBytes: knob.count("bytes", KIB, 256 * MIB, 8 * MIB),
  // Sent and not yet taken by a slow reader: then its engines are held back.
  bufferBytes: knob.count("bytes", 4 * KIB, 64 * MIB, 256 * KIB),
  // Without a request; agents run tools for minutes.
  idleMs: knob.count("ms", 100, DAY, 30 * MINUTE),
  // As OpenAI's: clients connect again, so that load spreads.
  lifeMs: knob.count("ms", 100, 30 * DAY, HOUR),
  // A client that answers no ping for so long is gone.
  silenceMs: knob.count("ms", 300, HOUR, MINUTE),
});

export const ResponsesSection = knob.sectionOr({
  // Memory of all held conversations; the least recently used goes first. 0 holds none.
  bytes: knob.count("bytes", 0, 64 * KIB * MIB, 256 * MIB),
  // Since its last use. OpenAI keeps 30 days; a PoP is no archive.
  ttlMs: knob.count("ms", SECOND, 30 * DAY, HOUR),
});

export type SocketsConfig = v.InferOutput<typeof SocketsSection>;
export type ResponsesConfig = v.InferOutput<typeof ResponsesSection>;
