import { FetchTransport } from "../../edge/transport-fetch.ts";
import { UndiciTransport } from "../../edge/transport-undici.ts";
import { transportFailureSuite } from "./transport.failures.suite.ts";
import { transportSuite } from "./transport.suite.ts";

const undici = () => new UndiciTransport();
const fetching = () => new FetchTransport();

transportSuite("undici", undici);
transportFailureSuite("undici", undici);

transportSuite("fetch", fetching);
transportFailureSuite("fetch", fetching, {
  connectTimeout: "fetch does not tell when the connection stands",
  sockets: "the platform owns the connections",
  handlerFailure: "fetch reports our own exceptions and the network's alike",
});
