/**
 * The files of undici that lanes and the parser of answers need. Its index loads fetch, WebSocket,
 * mocks and caches besides: a sixth of a PoP's start. It declares no types for them, so they stand
 * here.
 */
declare module "undici/lib/dispatcher/client.js" {
  import { Client } from "undici";
  export default Client;
}

declare module "undici/lib/core/connect.js" {
  import { buildConnector } from "undici";
  export default buildConnector;
}

declare module "undici/lib/core/errors.js" {
  import { errors } from "undici";
  export default errors;
}

declare module "undici/lib/llhttp/llhttp_simd-wasm.js" {
  const bytes: Uint8Array<ArrayBuffer>;
  export default bytes;
}
