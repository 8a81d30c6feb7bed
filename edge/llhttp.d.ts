/** The parser's bytes as undici carries them; its package has types for all but these. */
declare module "undici/lib/llhttp/llhttp_simd-wasm.js" {
  const bytes: Uint8Array<ArrayBuffer>;
  export default bytes;
}
