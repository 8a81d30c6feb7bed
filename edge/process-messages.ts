/** What the processes of one PoP say to each other over the channel that Node gives them. */
import type { DigestChange, Fleet, FleetListener, FleetPop } from "../src/grid/fleet.ts";
import type { ProcessPort, ProcessReport } from "../src/grid/processes.ts";

export type ProcessMessage =
  | { kind: "report"; report: ProcessReport }
  | { kind: "gone"; process: number }
  /** `sentMs`: the sender's clock, since clocks of processes begin at different times. */
  | { kind: "pop"; pop: FleetPop; sentMs: number }
  | { kind: "digest"; change: DigestChange }
  | { kind: "ask-metrics"; id: number }
  | { kind: "metrics"; id: number; text: string }
  | { kind: "stop" }
  | { kind: "listening"; port: number }
  | { kind: "failed"; code: string | undefined; message: string }
  /** A link of another PoP came in; its socket travels with the message. */
  | { kind: "link"; url: string; headers: Record<string, string | string[]>; head: Uint8Array };

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

/** The books of one process, fed by messages. */
export class MessagePort implements ProcessPort {
  readonly process: number;
  private readonly post: (report: ProcessReport) => void;
  private readonly page: (own: string) => Promise<string>;
  private onReport: (report: ProcessReport) => void = () => {};
  private onGone: (process: number) => void = () => {};

  constructor(
    process: number,
    post: (report: ProcessReport) => void,
    page: (own: string) => Promise<string>,
  ) {
    this.process = process;
    this.post = post;
    this.page = page;
  }

  send(report: ProcessReport): void {
    this.post(report);
  }

  listen(onReport: (report: ProcessReport) => void, onGone: (process: number) => void): void {
    this.onReport = onReport;
    this.onGone = onGone;
  }

  metrics(own: string): Promise<string> {
    return this.page(own);
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
