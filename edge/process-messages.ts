/** What the processes of one PoP say to each other over the channel that Node gives them. */
import type { DigestChange, Fleet, FleetListener, FleetPop } from "../src/grid/fleet.ts";
import type { HeldQuestion, ProcessPort, ProcessReport } from "../src/grid/processes.ts";

export type ProcessMessage =
  | { kind: "report"; report: ProcessReport }
  | { kind: "gone"; process: number }
  /** `sentMs`: the sender's clock, since clocks of processes begin at different times. */
  | { kind: "pop"; pop: FleetPop; sentMs: number }
  | { kind: "digest"; change: DigestChange }
  | { kind: "ask-metrics"; id: number }
  | { kind: "metrics"; id: number; text: string }
  | { kind: "ask-held"; id: number; question: HeldQuestion }
  | { kind: "held"; id: number; text: string }
  | { kind: "stop" }
  | { kind: "listening"; port: number }
  | { kind: "failed"; code: string | undefined; message: string }
  /** A link of another PoP came in; its socket travels with the message. */
  | { kind: "link"; url: string; headers: Record<string, string | string[]>; head: Uint8Array };

/** For one process to say what it holds; a process that hangs holds up nobody for longer. */
export const HELD_MS = 1_000;

/** Questions that wait for their answer, each for a bounded time. */
export class Questions {
  private readonly waiting = new Map<number, (text: string) => void>();
  private next = 0;

  /** Resolves with "" when no answer comes in time. */
  ask(send: (id: number) => void, withinMs: number): Promise<string> {
    const id = this.next++;
    return new Promise((resolve) => {
      const finish = (text: string): void => {
        clearTimeout(timer);
        this.waiting.delete(id);
        resolve(text);
      };
      const timer = setTimeout(finish, withinMs, "");
      this.waiting.set(id, finish);
      send(id);
    });
  }

  answer(id: number, text: string): void {
    this.waiting.get(id)?.(text);
  }
}

/** What one process asks of the others. */
export interface Inquiries {
  metrics(own: string): Promise<string>;
  held(question: HeldQuestion): Promise<string>;
}

/** The books of one process, fed by messages. */
export class MessagePort implements ProcessPort {
  readonly process: number;
  readonly run: string;
  private readonly post: (report: ProcessReport) => void;
  private readonly inquiries: Inquiries;
  private onReport: (report: ProcessReport) => void = () => {};
  private onGone: (process: number) => void = () => {};

  constructor(
    { process, run }: Pick<ProcessPort, "process" | "run">,
    post: (report: ProcessReport) => void,
    inquiries: Inquiries,
  ) {
    this.process = process;
    this.run = run;
    this.post = post;
    this.inquiries = inquiries;
  }

  send(report: ProcessReport): void {
    this.post(report);
  }

  listen(onReport: (report: ProcessReport) => void, onGone: (process: number) => void): void {
    this.onReport = onReport;
    this.onGone = onGone;
  }

  metrics(own: string): Promise<string> {
    return this.inquiries.metrics(own);
  }

  held(question: HeldQuestion): Promise<string> {
    return this.inquiries.held(question);
  }

  take(report: ProcessReport): void {
    this.onReport(report);
  }

  gone(process: number): void {
    this.onGone(process);
  }
}

/** The grid as the process that gossips sees it: everything is heard, nothing is said. */
export class FollowedFleet implements Fleet {
  private readonly known = new Map<string, FleetPop>();
  private listener: FleetListener | undefined;

  listen(listener: FleetListener): void {
    this.listener = listener;
  }

  takePop(pop: FleetPop, shiftMs: number): void {
    if (pop.load !== undefined) pop.load.atMs += shiftMs;
    if (pop.state === "left") this.known.delete(pop.card.id);
    else this.known.set(pop.card.id, pop);
    this.listener?.onPop(pop);
  }

  takeDigest(change: DigestChange): void {
    this.listener?.onDigest(change);
  }

  *pops(): Iterable<FleetPop> {
    yield* this.known.values();
  }

  publishCard(): void {}
  publishLoad(): void {}
  publishDigest(): void {}
  async leave(): Promise<void> {}
}

/** This process' number among those of its PoP; undefined when it is alone or in front. */
export function memberNumber(): number | undefined {
  const text = process.env["GRIDPOINT_PROCESS"];
  return text === undefined ? undefined : Number(text);
}

/** As the process in front says. */
export const memberRun = (): string => process.env["GRIDPOINT_RUN"] ?? "";

/** Resolves when the process in front says so, or SIGTERM does; Ctrl-C is the other's business. */
export function memberStop(): Promise<void> {
  process.on("SIGINT", () => {});
  return new Promise((resolve) => {
    process.once("SIGTERM", resolve);
    process.on("message", (message: ProcessMessage) => {
      if (message.kind === "stop") resolve();
    });
  });
}
