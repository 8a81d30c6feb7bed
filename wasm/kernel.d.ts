/** workerd's form of importing a compiled module. */
declare module "*.wasm?module" {
  const module: WebAssembly.Module;
  export default module;
}
