/** The same failures behind a PoP, at every door and with every engine dialect that there is. */
import { failuresSuite } from "./failures.suite.ts";
import { THROUGH_POP } from "./stage.ts";

failuresSuite(THROUGH_POP);
