/** The vendors' own SDKs at our servers of their protocols: shows that the servers are right. */
import { answersSuite } from "./answers.suite.ts";
import { DIRECT } from "./stage.ts";

answersSuite(DIRECT);
