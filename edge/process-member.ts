/** One of the processes that serve, behind `processes.ts`. */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Serve, ServedPop } from "./assemble.ts";
import { mergeMetrics } from "./merge-metrics.ts";
import { serveNode } from "./node.ts";
import type { UpgradePath } from "./node-upgrade.ts";
import {
  FollowedFleet,
  HELD_MS,
  memberNumber,
  memberRun,
  MessagePort,
  type ProcessMessage,
  Questions,
} from "./process-messages.ts";

const METRICS_MS = 1_000;

const say = (message: ProcessMessage): void => {
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
};

export const serveMember: Serve = async (config, effects) => {
  const questions = new Questions();
  const fleet = new FollowedFleet();
  const port = new MessagePort(
    { process: memberNumber() as number, run: memberRun() },
    (report) => say({ kind: "report", report }),
    {
      metrics: async (own) => {
        const others = await questions.ask((id) => say({ kind: "ask-metrics", id }), METRICS_MS);
        return mergeMetrics([own, others]);
      },
      held: (question) => questions.ask((id) => say({ kind: "ask-held", id, question }), HELD_MS),
    },
  );
  let pop: ServedPop["pop"] | undefined;
  process.on("message", (message: ProcessMessage) => {
    if (message.kind === "report") port.take(message.report);
    else if (message.kind === "gone") port.gone(message.process);
    else if (message.kind === "pop") fleet.takePop(message.pop, performance.now() - message.sentMs);
    else if (message.kind === "digest") fleet.takeDigest(message.change);
    else if (message.kind === "metrics" || message.kind === "held") {
      questions.answer(message.id, message.text);
    } else if (message.kind === "ask-metrics") {
      say({ ...message, kind: "metrics", text: pop?.metrics() ?? "" });
    } else if (message.kind === "ask-held") {
      say({ id: message.id, kind: "held", text: pop?.held(message.question) ?? "" });
    }
  });
  const link = config.gossip === undefined ? undefined : passedOn(config.gossip.path);
  try {
    const served = await serveNode(config, { ...effects, fleet, processes: port, link });
    pop = served.pop;
    say({ kind: "listening", port: Number(new URL(served.url).port) });
    return served;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    say({ kind: "failed", code, message });
    throw error;
  }
};

/** Links of other PoPs belong to the process in front. */
function passedOn(path: string): UpgradePath {
  return {
    path,
    upgrade: (incoming: IncomingMessage, socket, head) => {
      const headers = incoming.headers as Record<string, string | string[]>;
      const message: ProcessMessage = { kind: "link", url: incoming.url ?? path, headers, head };
      process.send?.(message, socket as Socket, undefined, () => {});
    },
  };
}
