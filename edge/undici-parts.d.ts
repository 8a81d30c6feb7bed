/**
 * The three files of undici that a lane needs. Its index loads fetch, WebSocket, mocks and caches
 * besides: a sixth of a PoP's start. It declares no types for its files, so they stand here.
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
