/** TCP connections on Node (and on Bun and Deno, which have `node:net`). */
import { connect } from "node:net";
import type { Dial } from "../src/grid/tcp.ts";

/** Bytes that a peer may leave unread before it counts as gone: what we send is small. */
const UNREAD_MAX = 1024 * 1024;

export const dialNode: Dial = (host, port, handler) => {
  const socket = connect({ host, port, noDelay: true, keepAlive: true });
  let isOver = false;
  const over = (why: string): void => {
    if (isOver) return;
    isOver = true;
    socket.destroy();
    handler.onClose(why);
  };
  socket.on("connect", () => {
    if (!isOver) handler.onOpen();
  });
  socket.on("data", (bytes: Uint8Array) => {
    if (!isOver) handler.onData(bytes);
  });
  socket.on("error", (error) => over(error.message));
  socket.on("close", () => over("the peer closed the connection"));
  return {
    write: (bytes) => {
      if (isOver) return;
      socket.write(bytes);
      if (socket.writableLength > UNREAD_MAX) over("the peer does not read");
    },
    close: () => {
      isOver = true;
      socket.destroy();
    },
  };
};
