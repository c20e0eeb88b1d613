@0xd3a7e95c40b81f26;
# benches/pass on bare workerd, like the gateway. The command line gives --import-path for its build.

using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "network", network = (allow = ["private", "local"])),
    (name = "pass", worker = (
      compatibilityDate = "2026-11-17",
      modules = [
        (name = "index.js", esModule = embed "/index.js"),
        (name = "./millrace_bg.wasm", wasm = embed "/millrace_bg.wasm"),
      ],
      bindings = [(name = "UPSTREAM", fromEnvironment = "UPSTREAM")],
      globalOutbound = "network",
    )),
  ],
  sockets = [(name = "http", address = "127.0.0.1:18141", http = (), service = "pass")],
);
