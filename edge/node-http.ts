/**
 * Node's HTTP module, without what an `import` of it costs: that reads every export, three of them
 * are WebSocket's, and reading those loads Node's own copy of undici, a fifth of a PoP's start
 * (Node 26.10). Nothing here uses that copy.
 */
export const { createServer, IncomingMessage, ServerResponse } =
  process.getBuiltinModule("node:http");
