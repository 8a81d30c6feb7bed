/**
 * The transport's suites on Bun's own sockets, under Bun's own test runner, which stands in for
 * vitest there. `test/runtime/transport-bun.test.ts` runs this.
 */
import { connectBun } from "../../edge/tcp-bun.ts";
import { SplitTransport } from "../../edge/transport-split.ts";
import { TcpTransport } from "../../edge/transport-tcp.ts";
import { FetchTransport } from "../../edge/transport-fetch.ts";
import { transportFailureSuite } from "./transport.failures.suite.ts";
import { transportSuite } from "./transport.suite.ts";
import { transportWireSuite } from "./transport.wire.suite.ts";

const bun = () => new SplitTransport(new TcpTransport(connectBun), new FetchTransport());

transportSuite("bun", bun);
transportFailureSuite("bun", bun);
transportWireSuite("bun", bun);
