/** The sockets of a TcpTransport on `node:net`, so that its suite runs on Node, too. */
import { connect } from "node:net";
import type { TcpConnect } from "../../edge/tcp.ts";

export const connectNet: TcpConnect = (host, port, handler) => {
  const socket = connect({ host, port, noDelay: true });
  let error: Error | undefined;
  let over = false;
  socket.on("connect", () => handler.onOpen());
  socket.on("data", (bytes: Buffer) => {
    if (!over) handler.onData(bytes);
  });
  socket.on("end", () => {
    if (!over) handler.onEnd();
  });
  socket.on("error", (failure) => {
    error = failure;
  });
  socket.on("close", () => {
    if (!over) handler.onClose(error);
  });
  return {
    // The caller writes the next request into the same place.
    write: (bytes) => void socket.write(Buffer.from(bytes)),
    get drained() {
      return socket.writableLength === 0;
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    close: () => {
      over = true;
      socket.destroy();
    },
  };
};
