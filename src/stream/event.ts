/**
 * What an engine says, whatever its dialect: one small union. A reader turns a dialect's stream
 * into it, a writer turns it into another's. An answer that was not streamed is the same thing at
 * rest (`Answer`). Reasons to stop carry the field's names; each dialect maps its own onto them.
 */
import type { Usage } from "./usage.ts";

/**
 * `stop`: the model ended its turn. `sequence`: a stop sequence of the caller. `tools`: it waits
 * for tool results. `filter`: the vendor withheld the rest. `pause`: a long turn to be continued.
 */
export type StopReason =
  | "stop"
  | "sequence"
  | "length"
  | "tools"
  | "filter"
  | "refusal"
  | "pause"
  | "context";

/** An error that the engine put into the stream. */
export interface StreamError {
  message: string;
  type?: string;
  code?: string;
  param?: string;
}

/** `choice` counts from 0 (`n` > 1); `tool` counts the tool calls of one choice from 0. */
export type StreamEvent =
  | { type: "start"; id: string; model: string }
  | { type: "text"; choice: number; text: string; logprobs?: unknown }
  | { type: "reasoning"; choice: number; text: string }
  /** Proof that goes with the reasoning before it and must come back with it. */
  | { type: "signature"; choice: number; signature: string }
  | { type: "refusal"; choice: number; text: string }
  | { type: "tool"; choice: number; tool: number; id: string; name: string }
  | { type: "arguments"; choice: number; tool: number; json: string }
  | { type: "toolEnd"; choice: number; tool: number }
  /** Content that only its own dialect can say (audio, searches of the vendor). */
  | { type: "opaque"; choice: number }
  | { type: "stop"; choice: number; reason: StopReason; sequence?: string }
  /** Whole usage so far: a later one replaces an earlier one. */
  | { type: "usage"; usage: Usage }
  /** The dialect's own last event. */
  | { type: "end" }
  | { type: "error"; error: StreamError };

export interface EventSink {
  on(event: StreamEvent): void;
}

export type AnswerPart =
  | { type: "text"; text: string }
  | { type: "reasoning"; text: string; signature?: string }
  | { type: "refusal"; text: string }
  | { type: "call"; id: string; name: string; arguments: string };

export interface AnswerChoice {
  parts: AnswerPart[];
  reason: StopReason;
  sequence?: string;
  logprobs?: unknown;
}

/** A whole answer that was not streamed. */
export interface Answer {
  id: string;
  model: string;
  choices: AnswerChoice[];
  usage: Usage | undefined;
}
