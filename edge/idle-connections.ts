/**
 * Client connections on which nothing has run for a while are closed. Node's keepAliveTimeout does
 * that with a timer that every request takes off and puts on again, 4 % of the CPU of a plain
 * one; here a sweep looks at all connections now and then.
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Idle client connections live longer than the usual load balancer's minute. */
export const KEEP_ALIVE_MS = 75_000;
/** A connection is closed at the last of so many sweeps that found it idle. */
const SWEEPS = 5;

/** `answer`: the last one of a connection, until a sweep has found it finished. */
interface Use {
  answer: ServerResponse | undefined;
  idleSweeps: number;
}

/** Between a request's arrival and its answer's end a connection is never idle. */
export class IdleConnections {
  private readonly uses = new Map<Socket, Use>();
  private readonly timer: ReturnType<typeof setInterval>;

  /** @param idleMs least time without a request; at most a quarter more */
  constructor(server: Server, idleMs: number) {
    // One without a first request is bounded by the server's time for headers.
    server.on("request", this.used);
    server.on("upgrade", (_incoming, socket) => this.uses.delete(socket as Socket));
    server.on("close", () => clearInterval(this.timer));
    this.timer = setInterval(() => this.sweep(), idleMs / (SWEEPS - 1));
    this.timer.unref();
  }

  private readonly used = ({ socket }: IncomingMessage, answer: ServerResponse): void => {
    const use = this.uses.get(socket);
    if (use !== undefined) {
      use.answer = answer;
      use.idleSweeps = 0;
      return;
    }
    this.uses.set(socket, { answer, idleSweeps: 0 });
    socket.once("close", () => this.uses.delete(socket));
  };

  private sweep(): void {
    for (const [socket, use] of this.uses) {
      const { answer } = use;
      if (answer !== undefined && !answer.writableFinished && !answer.destroyed) continue;
      use.answer = undefined;
      use.idleSweeps++;
      if (use.idleSweeps >= SWEEPS) socket.destroy();
    }
  }
}
