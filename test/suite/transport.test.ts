import { FetchTransport } from "../../edge/transport-fetch.ts";
import { LaterTransport } from "../../edge/transport-later.ts";
import { UndiciTransport } from "../../edge/transport-undici.ts";
import { TcpTransport } from "../../edge/transport-tcp.ts";
import { connectNet } from "../../edge/tcp-net.ts";
import { transportFailureSuite } from "./transport.failures.suite.ts";
import { transportSuite } from "./transport.suite.ts";
import { transportWireSuite } from "./transport.wire.suite.ts";

// As a PoP has it. transport-lanes.test.ts has it without what loads it.
const undici = () => new LaterTransport(async () => new UndiciTransport());
const tcp = () => new TcpTransport(connectNet);
const fetching = () => new FetchTransport();

transportSuite("undici", undici);
transportFailureSuite("undici", undici);
transportWireSuite("undici", undici);

transportSuite("tcp", tcp);
transportFailureSuite("tcp", tcp);
transportWireSuite("tcp", tcp);

transportSuite("fetch", fetching);
transportFailureSuite("fetch", fetching, {
  connectTimeout: "fetch does not tell when the connection stands",
  sockets: "the platform owns the connections",
  handlerFailure: "fetch reports our own exceptions and the network's alike",
});
transportWireSuite("fetch", fetching, { sockets: "the platform owns the connections" });
