/**
 * `gridpoint serve --processes N` on Node: N processes share the listening port and serve, and one
 * in front of them holds the PoP's identity: it gossips, tells the grid the load of all, and hands
 * what it hears to the others. Each decides by itself with full knowledge: what the others have in
 * flight, learned and pinned comes to it within a tick.
 */
import cluster, { type Worker } from "node:cluster";
import { randomUUID } from "node:crypto";
import type { Socket } from "node:net";
import type { FleetPop } from "../src/grid/fleet.ts";
import type { HeldQuestion } from "../src/grid/processes.ts";
import type { FleetListener, PopConfig } from "../src/index.ts";
import {
  assemblePop,
  type AssembledPop,
  type Effects,
  localUrl,
  type Serve,
  type ServedPop,
} from "./assemble.ts";
import { mergeMetrics } from "./merge-metrics.ts";
import { IdentityError } from "./identity.ts";
import * as links from "./mesh-links.ts";
import { nodeWays } from "./mesh-node.ts";
import { IncomingMessage } from "./node-http.ts";
import { HELD_MS, MessagePort, type ProcessMessage, Questions } from "./process-messages.ts";

const METRICS_MS = 500;
/** A process that ends by itself is replaced, after a while that doubles while it keeps ending. */
const RESPAWN_MS = 100;
const RESPAWN_MS_MAX = 5_000;
const LIVED_MS = 5_000;

/** In the process in front. */
export const serveProcesses =
  (count: number): Serve =>
  async (config, effects) => {
    const house = new ProcessHouse(count, config, effects);
    return await house.open();
  };

/** One that has just died is told nothing, and that is no fault of the others. */
function say(member: Worker, message: ProcessMessage): void {
  if (member.isConnected()) member.send(message, () => {});
}

class ProcessHouse {
  private readonly config: PopConfig;
  private readonly effects: Effects;
  private readonly count: number;
  private readonly questions = new Questions();
  private readonly members = new Map<number, Worker>();
  private readonly port: MessagePort;
  private readonly assembled: AssembledPop;
  private stopping = false;
  private respawnMs = RESPAWN_MS;

  constructor(count: number, config: PopConfig, effects: Effects) {
    this.config = config;
    this.effects = effects;
    this.count = count;
    const own = { process: 0, run: randomUUID() };
    this.port = new MessagePort(own, (report) => this.tell({ kind: "report", report }), {
      metrics: (own) => this.page(own, undefined),
      held: (question) => this.held(question, undefined),
    });
    if (config.gossip !== undefined && config.listen.tls !== undefined) {
      const hint = "a TLS link cannot move between processes; let a proxy in front end TLS";
      throw new IdentityError(`listen.tls does not go with --processes and gossip: ${hint}`);
    }
    const tellPop = (pop: FleetPop) => this.tell({ kind: "pop", pop, sentMs: performance.now() });
    const alsoHears: FleetListener = {
      onPop: tellPop,
      onLoad: tellPop,
      onDigest: (change) => this.tell({ kind: "digest", change }),
    };
    const whole = { ...effects, processes: this.port, alsoHears };
    this.assembled = assemblePop(config, whole, nodeWays(config, whole, links));
  }

  /** Listens when all do. */
  async open(): Promise<ServedPop> {
    cluster.setupPrimary({ serialization: "advanced" });
    const hangup = () => this.each((member) => member.process.kill("SIGHUP"));
    process.on("SIGHUP", hangup);
    const numbers = Array.from({ length: this.count }, (_, at) => at + 1);
    let ports: number[];
    try {
      ports = await Promise.all(numbers.map((number) => this.start(number)));
    } catch (error) {
      this.stopping = true;
      this.each((member) => member.kill());
      await this.assembled.close();
      throw error;
    }
    return {
      url: this.assembled.listening(localUrl(this.config.listen, ports[0] as number)),
      pop: this.assembled.pop,
      reload: (next) => this.assembled.pop.reload(next),
      drain: () => this.stop(),
      close: async () => {
        process.off("SIGHUP", hangup);
        this.each((member) => member.process.kill("SIGKILL"));
        await this.assembled.close();
      },
    };
  }

  /** Resolves with the port that it listens on. @throws what it failed with */
  private start(number: number): Promise<number> {
    const member = cluster.fork({
      GRIDPOINT_PROCESS: String(number),
      GRIDPOINT_RUN: this.port.run,
    });
    const startedMs = performance.now();
    this.members.set(number, member);
    return new Promise((resolve, reject) => {
      member.on("message", (message: ProcessMessage, socket?: Socket) => {
        if (message.kind === "listening") resolve(message.port);
        else if (message.kind === "failed") {
          reject(Object.assign(new Error(message.message), { code: message.code }));
        } else this.take(number, message, socket);
      });
      member.on("error", () => {});
      member.once("exit", (code, signal) => {
        reject(new Error(`process ${number} ended (${signal ?? code}) before it listened`));
        this.ended(number, performance.now() - startedMs);
      });
      this.introduce(member);
    });
  }

  /** What the grid is now, for one that comes later. */
  private introduce(member: Worker): void {
    const sentMs = performance.now();
    for (const pop of this.assembled.gossip?.fleet.pops() ?? []) {
      say(member, { kind: "pop", pop, sentMs });
    }
  }

  private ended(number: number, livedMs: number): void {
    this.members.delete(number);
    this.port.gone(number);
    this.tell({ kind: "gone", process: number });
    if (this.stopping) return;
    this.respawnMs = livedMs > LIVED_MS ? RESPAWN_MS : Math.min(2 * this.respawnMs, RESPAWN_MS_MAX);
    this.effects.log("error", "process ended", { process: number, againMs: this.respawnMs });
    setTimeout(() => {
      if (!this.stopping) this.start(number).catch(() => {});
    }, this.respawnMs);
  }

  private take(number: number, message: ProcessMessage, socket?: Socket): void {
    switch (message.kind) {
      case "report":
        this.port.take(message.report);
        return this.tell(message, number);
      case "ask-metrics":
        return void this.page(this.assembled.pop.metrics(), number).then((text) => {
          const asker = this.members.get(number);
          if (asker !== undefined) say(asker, { kind: "metrics", id: message.id, text });
        });
      case "ask-held":
        return void this.held(message.question, number).then((text) => {
          const asker = this.members.get(number);
          if (asker !== undefined) say(asker, { kind: "held", id: message.id, text });
        });
      case "metrics":
      case "held":
        return this.questions.answer(message.id, message.text);
      case "link":
        return this.link(message, socket);
      default:
        return;
    }
  }

  /** A socket that a member accepted for us. */
  private link(message: ProcessMessage & { kind: "link" }, socket: Socket | undefined): void {
    const { gossip } = this.assembled;
    if (socket === undefined) return;
    if (gossip === undefined) return void socket.destroy();
    const request = new IncomingMessage(socket);
    Object.assign(request, { method: "GET", url: message.url, headers: message.headers });
    socket.on("error", () => socket.destroy());
    links.linkPath(gossip).upgrade(request, socket, Buffer.from(message.head));
    socket.resume();
  }

  private async page(own: string, asker: number | undefined): Promise<string> {
    const others = [...this.members].filter(([number]) => number !== asker);
    const pages = others.map(([, member]) =>
      this.questions.ask((id) => say(member, { kind: "ask-metrics", id }), METRICS_MS),
    );
    return mergeMetrics([own, ...(await Promise.all(pages))]);
  }

  /** At most one holds it. The process in front serves no door, so it holds none. */
  private async held(question: HeldQuestion, asker: number | undefined): Promise<string> {
    const others = [...this.members].filter(([number]) => number !== asker);
    const texts = others.map(([, member]) =>
      this.questions.ask((id) => say(member, { kind: "ask-held", id, question }), HELD_MS / 2),
    );
    return (await Promise.all(texts)).find((text) => text !== "") ?? "";
  }

  private async stop(): Promise<void> {
    this.stopping = true;
    const gone = [...this.members.values()].map(
      (member) => new Promise((resolve) => member.once("exit", resolve)),
    );
    this.tell({ kind: "stop" });
    await Promise.all([this.assembled.pop.drain(), ...gone]);
  }

  private tell(message: ProcessMessage, except?: number): void {
    for (const [number, member] of this.members) {
      if (number !== except) say(member, message);
    }
  }

  private each(act: (member: Worker) => void): void {
    for (const member of this.members.values()) act(member);
  }
}
