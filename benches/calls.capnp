@0xd3a6c90b7e214f58;
# benches/calls.js on bare workerd, like the gateway.

using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "network", network = (allow = ["private", "local"])),
    (name = "disk", disk = (writable = true)),
    (name = "calls", worker = (
      compatibilityDate = "2026-11-17",
      modules = [(name = "calls.js", esModule = embed "calls.js")],
      bindings = [
        (name = "UPSTREAM", fromEnvironment = "UPSTREAM"),
        (name = "ACCOUNTS", durableObjectNamespace = "Account"),
      ],
      durableObjectNamespaces = [(className = "Account", uniqueKey = "account", enableSql = true)],
      durableObjectStorage = (localDisk = "disk"),
      globalOutbound = "network",
    )),
  ],
  sockets = [(name = "http", address = "127.0.0.1:18146", http = (), service = "calls")],
);
