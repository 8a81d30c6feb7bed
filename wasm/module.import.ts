/**
 * The kernel for runtimes that forbid compiling from bytes (workerd): the module is a static
 * import, resolved when the worker is deployed.
 */
import module from "./kernel.wasm?module";

export default module as WebAssembly.Module;
