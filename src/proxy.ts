/**
 * THE WAY OF A REQUEST: door > task > admission > kernel > forward > stream > feedback.
 * Read `serve` first; every other folder is one of its lines. The stages are assembled in
 * `pop.ts`; nothing here knows a runtime, a dialect's bytes or a table's layout.
 */
import type { Clock } from "./grid/effects.ts";
import { GridError } from "./grid/errors.ts";
import type { BodyRoom, Exchange } from "./grid/exchange.ts";
import type { Handover } from "./grid/handover.ts";
import type { Millis, Row } from "./grid/units.ts";
import type { Flight } from "./feedback/observe.ts";
import type { Attempt, AttemptEnd } from "./forward/forward.ts";
import type { Route } from "./task/route.ts";
import type { Task } from "./task/task.ts";

/** Who calls, as the door found out. */
export interface Caller {
  tenant: string;
  /** Models that the key may use; empty = all. */
  models: readonly string[];
  /** The caller is another PoP, which has checked its own caller. */
  handover?: Handover;
}

/** How a request ended, for the counters. */
export type Ending = "done" | "broken" | "gone" | "refused";

export interface Stages {
  clock: Clock;
  bodyBytes: number;
  bodyTimeoutMs: Millis;
  bodyRoom: BodyRoom;
  retries: number;
  /** task: body and headers to a Task with its prefix hashes. */
  read(route: Route, bytes: Uint8Array, exchange: Exchange, caller: Caller): Task;
  /** admission: may it enter? */
  admit(task: Task, caller: Caller): void;
  /** True: the PoP could answer by itself and has (a count of tokens). */
  answersHere(task: Task, exchange: Exchange): boolean;
  /** admission + kernel: the endpoint, now or when one can start it. */
  turn(task: Task, tried: readonly Row[], onWait: (leave: Leave) => void): Flight | Promise<Flight>;
  /** Nobody could serve its model; true: it asked for an alias that has another. */
  fallsBack(task: Task, error: GridError): boolean;
  /** forward + stream: one attempt. @param retries how many more may follow */
  attempt(flight: Flight, exchange: Exchange, retries: number): Attempt;
  /** feedback. */
  observe(flight: Flight, end: AttemptEnd): void;
  finished(route: Route, task: Task | undefined, ending: Ending, error?: GridError): void;
  /** The error in the dialect of the caller, in or out of a stream. */
  rescue(
    exchange: Exchange,
    route: Route,
    error: GridError,
    task: Task | undefined,
    attempts: number,
  ): void;
}

export type Leave = (error: GridError) => void;

export async function serve(
  stages: Stages,
  exchange: Exchange,
  route: Route,
  caller: Caller,
): Promise<void> {
  let task: Task | undefined;
  let attempts = 0;
  let retries = stages.retries;
  const tried: Row[] = [];
  const client = new Client(exchange);
  try {
    const bytes = await exchange.body(stages.bodyBytes, stages.bodyTimeoutMs, stages.bodyRoom);
    task = stages.read(route, bytes, exchange, caller);
    stages.admit(task, caller);
    if (stages.answersHere(task, exchange)) return stages.finished(route, task, "done");
    for (;;) {
      try {
        const turn = stages.turn(task, tried, client.onLeave);
        const flight = turn instanceof Promise ? await turn : turn;
        const attempt = stages.attempt(flight, exchange, retries);
        client.follows(attempt);
        const end = await attempt.run();
        stages.observe(flight, end);
        if (end.kind !== "failed") return stages.finished(route, task, end.kind, errorOf(end));
        attempts++;
        task.failure = end.error;
        if (client.gone || end.error.retry === "never" || retries-- <= 0) throw end.error;
        // "same": the connection was stale, not the endpoint.
        if (end.error.retry === "elsewhere") tried.push(flight.row);
      } catch (cause) {
        if (client.gone || !stages.fallsBack(task, asGridError(cause))) throw cause;
        retries = stages.retries;
        tried.length = 0;
      }
    }
  } catch (cause) {
    const error = asGridError(cause);
    const ending = error.code === "client_gone" || client.gone ? "gone" : "refused";
    stages.finished(route, task, ending, error);
    stages.rescue(exchange, route, error, task, attempts);
  }
}

/** The client's leaving, told to whatever the request is doing at that moment. */
class Client {
  gone = false;
  private leave: Leave | undefined;
  private attempt: Attempt | undefined;

  constructor(exchange: Exchange) {
    exchange.onGone(() => {
      this.gone = true;
      this.leave?.(new GridError("client_gone", "The client left while it waited."));
      this.attempt?.clientGone();
    });
  }

  readonly onLeave = (leave: Leave): void => {
    this.leave = leave;
    if (this.gone) leave(new GridError("client_gone", "The client left while it waited."));
  };

  follows(attempt: Attempt): void {
    this.leave = undefined;
    this.attempt = attempt;
    if (this.gone) attempt.clientGone();
  }
}

function errorOf(end: AttemptEnd): GridError | undefined {
  return end.kind === "broken" ? end.error : undefined;
}

function asGridError(cause: unknown): GridError {
  if (cause instanceof GridError) return cause;
  return new GridError("internal", "The proxy failed on this request. Its log names the cause.", {
    cause,
  });
}
