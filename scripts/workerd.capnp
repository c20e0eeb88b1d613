@0x9c6e2d5b1f8a4703;
# The gateway on bare workerd, without wrangler: what `npm run workerd` runs.
# The command line gives the folders: --import-path for the build and for bindings.capnp (the
# variables of this run), --directory-path for both disks, --socket-addr for the port.

using Workerd = import "/workerd/workerd.capnp";
using Bindings = import "/bindings.capnp";

const compatibilityDate :Text = "2026-11-17";

const config :Workerd.Config = (
  services = [
    (name = "gateway", worker = .gateway),
    (name = "keys", worker = .keys),
    (name = "network", network = (allow = ["public", "private"], tlsOptions = (trustBrowserCas = true))),
    (name = "accounts-disk", disk = (writable = true)),
    (name = "keys-disk", disk = (writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:8788", http = (), service = "gateway")],
);

const gateway :Workerd.Worker = (
  compatibilityDate = .compatibilityDate,
  modules = [
    (name = "index.js", esModule = embed "/index.js"),
    (name = "./millrace_bg.wasm", wasm = embed "/millrace_bg.wasm"),
  ],
  # KEYS (kvNamespace "keys"), ACCOUNTS and HEALTH (durableObjectNamespaces), and variables.
  bindings = Bindings.bindings,
  durableObjectNamespaces = [
    (className = "AccountObject", uniqueKey = "millrace-accounts", enableSql = true),
    (className = "HealthObject", uniqueKey = "millrace-health", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "accounts-disk"),
  globalOutbound = "network",
);

# A KV namespace, close by.
const keys :Workerd.Worker = (
  compatibilityDate = .compatibilityDate,
  modules = [(name = "kv.js", esModule = embed "kv.js")],
  bindings = [(name = "STORE", durableObjectNamespace = "KeyValueStore")],
  durableObjectNamespaces = [(className = "KeyValueStore", uniqueKey = "millrace-keys", enableSql = true)],
  durableObjectStorage = (localDisk = "keys-disk"),
);
