/**
 * The body of a streamed answer where Response is the server's own form: a ReadableStream that
 * bytes are pushed into. Its queue is the buffer that `write` of an Exchange speaks of.
 */

/** Bytes queued for a client before `write` says stop: what Node's sockets hold, too. */
const HIGH_WATER_BYTES = 64 * 1024;
const BY_BYTES = { highWaterMark: HIGH_WATER_BYTES, size: (chunk: Uint8Array) => chunk.byteLength };

/** Who writes the body. */
export interface BodyWriter {
  /** There is room again after `write` said stop. */
  drained(): void;
  /** The client reads no more. */
  left(): void;
}

export interface AnswerBody {
  readonly stream: ReadableStream<Uint8Array>;
  /** More waits to be sent than should. */
  readonly full: boolean;
  write(chunk: Uint8Array): void;
  end(): void;
  /** Breaks it: the client must not take it for whole. */
  fail(error: Error): void;
}

/** What every runtime has. */
export class QueuedBody implements AnswerBody {
  readonly stream: ReadableStream<Uint8Array>;
  full = false;
  private sink!: ReadableStreamDefaultController<Uint8Array>;

  constructor(writer: BodyWriter) {
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.sink = controller;
        },
        pull: () => {
          if (!this.full) return;
          this.full = false;
          writer.drained();
        },
        cancel: () => writer.left(),
      },
      BY_BYTES,
    );
  }

  write(chunk: Uint8Array): void {
    this.sink.enqueue(chunk);
    this.full = (this.sink.desiredSize ?? 1) <= 0;
  }

  end(): void {
    this.sink.close();
  }

  fail(error: Error): void {
    this.sink.error(error);
  }
}

/** Bun's way into the socket's own buffer. What is written in one turn leaves together. */
interface DirectSink {
  /** A promise: that much waits to be sent, and it resolves when it no longer does. */
  write(chunk: Uint8Array): number | Promise<number>;
  end(): unknown;
  close(error: Error): void;
}

/** Bun's own kind of stream ("direct"), which has no queue and no promise per chunk. */
export class DirectBody implements AnswerBody {
  readonly stream: ReadableStream<Uint8Array>;
  full = false;
  private readonly writer: BodyWriter;
  private sink: DirectSink | undefined;
  /** Written before the server asked for the body. */
  private early: Uint8Array[] = [];
  private earlyBytes = 0;
  private last: { error?: Error } | undefined;
  private over: (() => void) | undefined;

  constructor(writer: BodyWriter) {
    this.writer = writer;
    const source = {
      type: "direct",
      pull: (sink: DirectSink) => this.begin(sink),
      cancel: () => {
        this.over?.();
        writer.left();
      },
    };
    this.stream = new ReadableStream(source as never);
  }

  write(chunk: Uint8Array): void {
    if (this.sink !== undefined) return this.pass(this.sink, chunk);
    this.early.push(chunk);
    this.earlyBytes += chunk.byteLength;
    this.full = this.earlyBytes >= HIGH_WATER_BYTES;
  }

  end(): void {
    this.finish({});
  }

  fail(error: Error): void {
    this.finish({ error });
  }

  /** The server asks for the body: it is one as long as the promise given back is open. */
  private begin(sink: DirectSink): Promise<void> | undefined {
    this.sink = sink;
    const { early, last, full } = this;
    this.early = [];
    this.full = false;
    for (const chunk of early) this.pass(sink, chunk);
    if (last !== undefined) return void this.finish(last);
    if (full && !this.full) this.writer.drained();
    return new Promise((resolve) => {
      this.over = resolve;
    });
  }

  private pass(sink: DirectSink, chunk: Uint8Array): void {
    const sent = sink.write(chunk);
    if (!(sent instanceof Promise) || this.full) return;
    this.full = true;
    const drained = (): void => {
      this.full = false;
      if (this.last === undefined) this.writer.drained();
    };
    sent.then(drained, () => {});
  }

  private finish(last: { error?: Error }): void {
    this.last = last;
    const { sink } = this;
    if (sink === undefined) return;
    if (last.error === undefined) sink.end();
    else sink.close(last.error);
    this.over?.();
  }
}
