/**
 * What the tap and the relay need to know of a dialect, both ways. The tap reads every stream with
 * the reader of the engine's dialect; where the caller's is another, the writer of the caller's
 * makes the events that go out. So a dialect is these few functions, and no other file knows it.
 */
import type { Answer, EventSink, StreamError, StreamEvent } from "../event.ts";
import type { Task } from "../../task/task.ts";
import type { Usage } from "../usage.ts";

export type Fields = Record<string, unknown>;

/** `usageOnly`: carried nothing but usage. `broken`: not what the dialect sends. */
export const READ = { event: 0, usageOnly: 1, broken: 2 } as const;
export type Read = (typeof READ)[keyof typeof READ];

/** Reads the events of one engine's stream. Has state; one per stream. */
export interface EventReader {
  /**
   * @param data the event's data lines, joined
   * @param name its `event:` line
   */
  read(data: string, name: string | undefined, sink: EventSink): Read;
}

/** Writes the events for one caller. Has state; one per stream. */
export interface EventWriter {
  /**
   * @returns the frames that this event completes, often none
   * @throws GridError bad_response for what the dialect cannot say
   */
  write(event: StreamEvent): string;
}

export interface WriterOptions {
  /** Model as the caller asked for it, until the engine says one. */
  model: string;
  /** Id where the engine gives none. */
  id: string;
  /** Unix time of the answer in seconds; 0 = not known. */
  createdS: number;
  /** The caller wants to see the usage (OpenAI's `stream_options.include_usage`). */
  usage: boolean;
  /** Estimate, for dialects that tell the input's size first. */
  promptTokens: number;
  /** Version of the dialect that the caller named, where it has versions. */
  version: string | undefined;
  /** The caller's body, for dialects that say in the answer what was asked. */
  asked: Fields;
}

/** Embeddings, which are never streamed. */
export interface VectorDialect {
  /** Undefined when the body holds none. */
  read(body: Fields): number[][] | undefined;
  write(vectors: readonly number[][], task: Task, promptTokens: number): unknown;
}

export interface StreamDialect {
  /**
   * True for an event that is content and holds nothing else that matters, by its bytes alone:
   * then it passes unparsed. Never true by mistake; false costs a parse.
   */
  isPlainContent(bytes: Uint8Array, from: number, end: number): boolean;
  /**
   * The offset behind such an event that starts at `from`, its blank line with it; -1: it is
   * another, or not surely whole. For dialects whose every byte has to be looked at.
   */
  plainContentEnd?(bytes: Uint8Array, from: number): number;
  reader(): EventReader;
  writer(options: WriterOptions): EventWriter;
  /** Ends a stream whose engine forgot to, after all choices have finished. */
  readonly terminal: Uint8Array | undefined;
  /** The error in a JSON object of the dialect, framed or not; undefined when it is none. */
  errorOf(body: Fields): StreamError | undefined;
  /** A whole answer that was not streamed; undefined when it is none. */
  readAnswer(body: Fields): Answer | undefined;
  writeAnswer(answer: Answer, options: WriterOptions): unknown;
  /** Reads a parsed usage object; undefined when it is none. */
  usageOf(value: unknown): Usage | undefined;
  /** Where it stands in a plain answer. */
  readonly usageKey: string;
  /** Where the dialect has embeddings. */
  readonly vectors?: VectorDialect;
}
