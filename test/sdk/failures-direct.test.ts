/** What SDKs make of failures of the vendor itself: the ground that the PoP is compared with. */
import { failuresSuite } from "./failures.suite.ts";
import { DIRECT } from "./stage.ts";

failuresSuite(DIRECT);
