/**
 * A burst through a real PoP: emulated engines and the PoP as processes, requests over HTTP.
 * Interactive and batch together ask for several times what the engines can prefill. A batch
 * client that is refused comes again when it is told to; an interactive one gives up.
 */
import { Agent, request } from "node:http";
import { type ServerProcess, startEngine, startPop } from "./pop-process.ts";

export interface BurstOptions {
  binding: "late" | "early";
  engines: number;
  seconds: number;
  /** Offered prompt tokens in capacities, half of them interactive. */
  overload: number;
  sloMs: number;
  calibrateMs: number;
}

/** How one attempt ended. */
interface Answer {
  status: number;
  retryAfterS: number;
  /** From sending to the first content, or to the refusal. */
  firstMs: number;
  /** The stream ended as it should. */
  done: boolean;
}

export interface ClassOutcome {
  offered: number;
  served: number;
  /** 429 or 503 with Retry-After, and how long it took to say so. */
  refused: number;
  refusalMs: number[];
  retried: number;
  /** Whatever else: broken streams, other errors, refusals without Retry-After. */
  lost: number;
  ttftMs: number[];
}

export interface BurstOutcome {
  capacityTokensPerS: number;
  interactive: ClassOutcome;
  batch: ClassOutcome;
  /** From the first request until the last batch answer. */
  allDoneS: number;
}

const MODEL = "burst";
const INTERACTIVE_TOKENS = 1_000;
const BATCH_TOKENS = 8_000;
const BYTES_PER_TOKEN = 4;
const OUT_TOKENS = 16;
const CALIBRATE_AT_ONCE = 4;
/** A request that is not through by then is lost. */
const ANSWER_MS = 180_000;

class Clients {
  private readonly base: string;
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 10_000 });
  private ids = 0;

  constructor(base: string) {
    this.base = base;
  }

  ask(tokens: number, headers: Record<string, string>): Promise<Answer> {
    const startMs = performance.now();
    const answer: Answer = { status: 0, retryAfterS: 0, firstMs: 0, done: false };
    const messages = [{ role: "user", content: promptOf(this.ids++, tokens) }];
    const body = JSON.stringify({ model: MODEL, stream: true, max_tokens: OUT_TOKENS, messages });
    return new Promise((resolve) => {
      const outgoing = request(`${this.base}/v1/chat/completions`, {
        method: "POST",
        agent: this.agent,
        headers: { "content-type": "application/json", ...headers },
      });
      const over = setTimeout(() => outgoing.destroy(), ANSWER_MS);
      const end = () => {
        clearTimeout(over);
        resolve(answer);
      };
      outgoing.on("error", end);
      outgoing.on("response", (response) => {
        answer.status = response.statusCode ?? 0;
        answer.retryAfterS = Number(response.headers["retry-after"] ?? 0);
        let tail = "";
        response.setEncoding("utf8").on("data", (text: string) => {
          tail = (tail + text).slice(-4_096);
          const isFirst = answer.status !== 200 || /"content":"[^"]/.test(tail);
          if (answer.firstMs === 0 && isFirst) answer.firstMs = performance.now() - startMs;
          if (tail.includes("data: [DONE]")) answer.done = true;
        });
        response.on("error", end).on("close", end);
      });
      outgoing.end(body);
    });
  }

  close(): void {
    this.agent.destroy();
  }
}

/** Shares no prefix with any other. */
function promptOf(id: number, tokens: number): string {
  const words = `${id.toString(36).padStart(6, "0")} `;
  return words.repeat(Math.ceil((tokens * BYTES_PER_TOKEN) / words.length));
}

function blankClass(): ClassOutcome {
  const counts = { offered: 0, served: 0, refused: 0, retried: 0, lost: 0 };
  return { ...counts, refusalMs: [], ttftMs: [] };
}

const later = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** What the engines prefill when they always have enough; the PoP learns their rates on the way. */
async function calibrate(clients: Clients, options: BurstOptions): Promise<number> {
  const endMs = performance.now() + options.calibrateMs;
  const startMs = performance.now();
  let tokens = 0;
  const worker = async () => {
    while (performance.now() < endMs) {
      const answer = await clients.ask(BATCH_TOKENS, {});
      if (!answer.done) throw new Error(`calibration: status ${answer.status}`);
      tokens += BATCH_TOKENS;
    }
  };
  await Promise.all(Array.from({ length: options.engines * CALIBRATE_AT_ONCE }, worker));
  return (tokens * 1_000) / (performance.now() - startMs);
}

async function interactive(clients: Clients, sloMs: number, into: ClassOutcome): Promise<void> {
  into.offered++;
  const headers = { "x-grid-priority": "interactive", "x-grid-slo-ttft-ms": `${sloMs}` };
  record(await clients.ask(INTERACTIVE_TOKENS, headers), into);
}

async function batch(clients: Clients, into: ClassOutcome): Promise<void> {
  into.offered++;
  for (;;) {
    const answer = await clients.ask(BATCH_TOKENS, { "x-grid-priority": "batch" });
    if (!isRefusal(answer)) return record(answer, into);
    into.retried++;
    await later(answer.retryAfterS * 1_000);
  }
}

function isRefusal({ status, retryAfterS }: Answer): boolean {
  return (status === 429 || status === 503) && retryAfterS > 0;
}

function record(answer: Answer, into: ClassOutcome): void {
  if (isRefusal(answer)) {
    into.refused++;
    into.refusalMs.push(answer.firstMs);
  } else if (answer.status === 200 && answer.done && answer.firstMs > 0) {
    into.served++;
    into.ttftMs.push(answer.firstMs);
  } else {
    into.lost++;
  }
}

async function play(clients: Clients, options: BurstOptions): Promise<BurstOutcome> {
  const capacityTokensPerS = await calibrate(clients, options);
  const outcome = { capacityTokensPerS, interactive: blankClass(), batch: blankClass() };
  const halfPerS = (capacityTokensPerS * options.overload) / 2;
  const open: Promise<void>[] = [];
  const startMs = performance.now();
  const every = async (periodMs: number, ask: () => Promise<void>) => {
    for (let nth = 0; nth * periodMs < options.seconds * 1_000; nth++) {
      await later(Math.max(startMs + nth * periodMs - performance.now(), 0));
      open.push(ask());
    }
  };
  await Promise.all([
    every((INTERACTIVE_TOKENS * 1_000) / halfPerS, () =>
      interactive(clients, options.sloMs, outcome.interactive),
    ),
    every((BATCH_TOKENS * 1_000) / halfPerS, () => batch(clients, outcome.batch)),
  ]);
  await Promise.all(open);
  return { ...outcome, allDoneS: (performance.now() - startMs) / 1_000 };
}

export async function runBurst(options: BurstOptions): Promise<BurstOutcome> {
  const started: ServerProcess[] = [];
  try {
    for (let n = 0; n < options.engines; n++) {
      started.push(await startEngine("--profile", "rtxpro6000-8b", "--model", MODEL));
    }
    const endpoints = started.map(({ base }, n) => {
      return { id: `e${n}`, url: base, engine: "vllm", models: [MODEL] };
    });
    const pop = await startPop({ endpoints, limits: { binding: options.binding } });
    started.push(pop);
    const clients = new Clients(pop.base);
    const outcome = await play(clients, options);
    clients.close();
    return outcome;
  } finally {
    await Promise.all(started.map((one) => one.stop()));
  }
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? Number.NaN;
}
