/** The same through a PoP, at every door and with every engine dialect that there is. */
import { answersSuite } from "./answers.suite.ts";
import { THROUGH_POP } from "./stage.ts";

answersSuite(THROUGH_POP);
