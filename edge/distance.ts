/**
 * Distance for the demo: a TCP relay that holds every byte back for half a round trip each way, so
 * that an engine in this machine is as far as one in another city, for everybody who measures.
 */
import { type AddressInfo, createServer, connect, type Socket } from "node:net";

export interface Distance {
  url: string;
  close(): void;
}

/** Bytes under way per direction before the sender is asked to wait. */
const UNDER_WAY_MAX = 1024 * 1024;

/** Relays a loopback port (0 = a fresh one) to `url` over `rttMs`. */
export async function startDistance(url: string, rttMs: number, listenOn = 0): Promise<Distance> {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const far = connect({ host: hostname, port: Number(port), allowHalfOpen: true, noDelay: true });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
    }
    delay(near, far, rttMs / 2);
    delay(far, near, rttMs / 2);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: "127.0.0.1", port: listenOn }, resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** One direction. Timers of equal length fire in order, so bytes and the end stay in order too. */
function delay(from: Socket, to: Socket, ms: number): void {
  let underWay = 0;
  const later = (act: () => void) => setTimeout(act, ms);
  from.on("data", (chunk) => {
    underWay += chunk.length;
    if (underWay > UNDER_WAY_MAX) from.pause();
    later(() => {
      underWay -= chunk.length;
      if (!to.destroyed && !to.write(chunk)) {
        from.pause();
        to.once("drain", () => from.resume());
      } else if (underWay <= UNDER_WAY_MAX) from.resume();
    });
  });
  from.on("end", () => later(() => to.end()));
  // A reset travels as a reset: who listens must see a failure, never a clean end.
  from.on("error", () => later(() => to.resetAndDestroy()));
  from.on("close", (hadError) => later(() => (hadError ? undefined : to.destroySoon())));
}
