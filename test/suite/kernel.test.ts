import { IMPLEMENTATIONS } from "./kernel.implementations.ts";
import { kernelSuite } from "./kernel.suite.ts";

for (const { name, create } of IMPLEMENTATIONS) kernelSuite(name, create);
