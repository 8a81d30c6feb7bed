/** An exchange whose answer is for the door itself: the body is given, what comes back is kept. */
import type { Exchange, Headers } from "../grid/exchange.ts";
import { join } from "../stream/bytes.ts";

const NOTHING = new Uint8Array(0);

export class WholeAnswer implements Exchange {
  status = 0;
  answerHeaders: Headers = {};
  private readonly outer: Exchange;
  private readonly bytes: Uint8Array;
  private readonly parts: Uint8Array[] = [];

  /** @param outer the client's, which is answered later; its leaving ends this one */
  constructor(outer: Exchange, bytes: Uint8Array) {
    this.outer = outer;
    this.bytes = bytes;
  }

  get method(): string {
    return this.outer.method;
  }

  get path(): string {
    return "/v1/responses";
  }

  get query(): string {
    return "";
  }

  get headers(): Headers {
    return this.outer.headers;
  }

  get headSent(): boolean {
    return this.status > 0;
  }

  get closed(): boolean {
    return this.outer.closed;
  }

  get text(): string {
    return new TextDecoder().decode(join(this.parts) ?? NOTHING);
  }

  async body(): Promise<Uint8Array> {
    return this.bytes;
  }

  onGone(listener: () => void): void {
    this.outer.onGone(listener);
  }

  head(status: number, headers: Headers): void {
    this.status = status;
    this.answerHeaders = headers;
  }

  write(chunk: Uint8Array): boolean {
    this.parts.push(chunk.slice());
    return true;
  }

  onDrain(): void {}

  end(chunk?: Uint8Array): void {
    if (chunk !== undefined) this.write(chunk);
  }

  destroy(error: Error): void {
    this.outer.destroy(error);
  }

  /** Gives the client what came. */
  passOn(): void {
    if (this.outer.closed) return;
    this.outer.head(this.status, this.answerHeaders);
    this.outer.end(join(this.parts) ?? NOTHING);
  }
}
