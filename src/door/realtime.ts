/** The door to the Realtime API: `GET /v1/realtime?model=...`, a WebSocket always. */
import { GridError } from "../grid/errors.ts";
import type { Exchange, Headers } from "../grid/exchange.ts";
import { invalid } from "../task/body-fields.ts";
import type { House } from "./app.ts";
import { RealtimeSession } from "./realtime-session.ts";

const PROTOCOL = "realtime";
/** Browsers cannot set a header: OpenAI takes their key as a sub-protocol. */
const KEY_PROTOCOL = "openai-insecure-api-key.";

export async function openRealtimeSocket(house: House, exchange: Exchange): Promise<void> {
  const { upgrade, query } = exchange;
  if (upgrade === undefined) {
    throw new GridError(
      "method_not_allowed",
      "/v1/realtime is for WebSockets: ask for an upgrade.",
    );
  }
  const headers = withKey(exchange.headers, upgrade.protocols);
  const caller = await house.auth.caller(headers);
  const asked = new URLSearchParams(query);
  for (const name of ["call_id", "intent"]) {
    if (asked.has(name))
      throw invalid(name, "is not supported: this door opens sessions of a model");
  }
  const model = asked.get("model") ?? "";
  if (model === "") throw invalid("model", "is missing: connect to /v1/realtime?model=NAME");
  house.sockets.admit();
  const { frameBytes, bufferBytes, silenceMs } = house.sockets.limits;
  const protocol = upgrade.protocols.find((one) => one === PROTOCOL);
  const terms = { protocol, messageBytes: 2 * frameBytes, bufferBytes, silenceMs };
  upgrade.accept(terms, (socket) => {
    const session = new RealtimeSession(house, socket, caller, headers, model);
    house.sockets.add(session);
    session.greet();
    return session;
  });
}

function withKey(headers: Headers, protocols: readonly string[]): Headers {
  const given = protocols.find((one) => one.startsWith(KEY_PROTOCOL));
  if (given === undefined || headers.authorization !== undefined) return headers;
  return { ...headers, authorization: `Bearer ${given.slice(KEY_PROTOCOL.length)}` };
}
