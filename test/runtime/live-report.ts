/** One line per check: what it is, how it went, the figure or the reason. */

/** The engine does not offer what a check looks at. */
export class NotOffered extends Error {}

export function expectThat(fact: unknown, otherwise: string): asserts fact {
  if (!fact) throw new Error(otherwise);
}

/** @throws Error with both, shortened, when they are not the same JSON */
export function expectSame(given: unknown, wanted: unknown, what: string): void {
  const [is, should] = [given, wanted].map((value) => JSON.stringify(value) ?? "undefined");
  expectThat(is === should, `${what}: ${shown(is)} instead of ${shown(should)}`);
}

/** Without characters that never became whole: in a stream an engine holds them back. */
export const whole = (text: string | null | undefined) => text?.replace(/\uFFFD+$/, "");

const shown = (text: string) => (text.length > 160 ? `${text.slice(0, 160)}...` : text);

export class Report {
  private readonly only: string | undefined;
  private passed = 0;
  private failed = 0;
  private skipped = 0;

  /** @param only part of the names of the checks to run */
  constructor(only: string | undefined) {
    this.only = only;
  }

  /** @param run says the figure; throws NotOffered to skip, anything else is a failure */
  async check(name: string, run: () => Promise<string>): Promise<void> {
    if (this.only !== undefined && !name.includes(this.only)) return;
    try {
      const figure = await run();
      this.passed++;
      line("ok  ", name, figure);
    } catch (error) {
      const isOffered = !(error instanceof NotOffered);
      if (isOffered) this.failed++;
      else this.skipped++;
      line(isOffered ? "FAIL" : "-   ", name, reason(error));
    }
  }

  /** The exit code. */
  end(): number {
    const { passed, failed, skipped } = this;
    process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
    return failed > 0 || passed === 0 ? 1 : 0;
  }
}

function reason(error: unknown): string {
  if (error instanceof NotOffered) return `not offered by this engine: ${error.message}`;
  const { message, cause } = error as Error;
  return cause instanceof Error ? `${message} (${cause.message})` : message;
}

function line(word: string, name: string, text: string): void {
  process.stdout.write(`${word} ${name}: ${text.replace(/\s+/g, " ").slice(0, 600)}\n`);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** `12.3 ms`: the median and the worst of many. */
export function spread(values: readonly number[]): string {
  return `median ${ms(median(values))}, worst ${ms(Math.max(...values))} of ${values.length}`;
}

export const ms = (value: number) => `${value.toFixed(Math.abs(value) < 10 ? 2 : 0)} ms`;
