import wasm from "./millrace_bg.wasm";
import { fetch, initSync } from "#bindings";

initSync({ module: wasm });

export default { fetch };
