/** TLS that ends in front of a PoP, as at a load balancer: the Realtime client speaks wss alone. */
import { connect, type Socket } from "node:net";
import { createServer, type Server } from "node:tls";
import { selfSigned } from "./self-signed.ts";

export class TlsFront {
  readonly base: string;
  /** The certificate, which is its own authority. */
  readonly ca: string;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;

  private constructor(server: Server, sockets: Set<Socket>, ca: string) {
    this.#server = server;
    this.#sockets = sockets;
    this.ca = ca;
    this.base = `https://127.0.0.1:${(server.address() as { port: number }).port}`;
  }

  /** @param port of the PoP on loopback */
  static async start(port: number): Promise<TlsFront> {
    const { cert, key } = selfSigned();
    const sockets = new Set<Socket>();
    const server = createServer({ cert, key }, (secured) => {
      const plain = connect(port, "127.0.0.1");
      for (const end of [secured, plain]) {
        sockets.add(end);
        end.on("close", () => {
          sockets.delete(end);
          secured.destroy();
          plain.destroy();
        });
        end.on("error", () => end.destroy());
      }
      secured.pipe(plain).pipe(secured);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new TlsFront(server, sockets, cert);
  }

  stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}
