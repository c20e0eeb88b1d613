@0xe9b45f0c7d12a863;
# benches/floor.js on bare workerd, like the gateway.

using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "network", network = (allow = ["private", "local"])),
    (name = "floor", worker = (
      compatibilityDate = "2026-11-17",
      modules = [(name = "floor.js", esModule = embed "floor.js")],
      bindings = [(name = "UPSTREAM", fromEnvironment = "UPSTREAM")],
      globalOutbound = "network",
    )),
  ],
  sockets = [(name = "http", address = "127.0.0.1:18144", http = (), service = "floor")],
);
