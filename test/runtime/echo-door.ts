/** A door that takes `/socket` with a key and the sub-protocol `grid`, and does as it is told. */
import type { Exchange } from "../../src/grid/exchange.ts";
import type { DoorSocket } from "../../src/grid/socket.ts";

export const MESSAGE_BYTES = 1_000;
const BUFFER_BYTES = 100_000;
const PIECE = "x".repeat(20_000);
const PIECES_MAX = 10_000;

export function echoDoor(exchange: Exchange): void {
  const { upgrade, headers } = exchange;
  if (upgrade === undefined || headers["authorization"] === undefined) {
    exchange.head(401, { "content-type": "application/json" });
    exchange.end(new TextEncoder().encode('{"error":"no key"}'));
    return;
  }
  const terms = { messageBytes: MESSAGE_BYTES, bufferBytes: BUFFER_BYTES, silenceMs: 3_000 };
  const protocol = upgrade.protocols.find((name) => name === "grid");
  upgrade.accept({ ...terms, protocol }, (socket) => {
    let sent = 0;
    return {
      onText: (text) => {
        if (text === "flood") sent = flood(socket);
        else if (text === "close") socket.close(1012, "again later");
        else socket.send(`echo ${text}`);
      },
      onBinary: (bytes) => socket.send(bytes.slice().reverse()),
      onDrain: () => socket.send(`drained after ${sent}`),
      onClose: () => {},
    };
  });
}

/** Sends until it is told to hold back. */
function flood(socket: DoorSocket): number {
  let sent = 1;
  while (sent < PIECES_MAX && socket.send(PIECE)) sent++;
  return sent;
}
