# Gridpoint on your own workerd, from `npm run build:workerd`:
#   GRIDPOINT_CONFIG="$(cat pop.json)" workerd serve dist/workerd/workerd.capnp \
#     --socket-addr http=0.0.0.0:8801 --directory-path state=/var/lib/gridpoint
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "gridpoint", worker = .gridpoint),
    # Engines and other PoPs stand in private networks, too: by default workerd reaches public
    # addresses only.
    (name = "internet", network = (
      allow = ["public", "private"],
      tlsOptions = (trustBrowserCas = true),
    )),
    # The object's storage: gossip's epoch and the alarm.
    (name = "state", disk = (writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:8801", http = (), service = "gridpoint")],
);

const gridpoint :Workerd.Worker = (
  modules = [
    (name = "worker.js", esModule = embed "worker.js"),
    (name = "kernel.wasm", wasm = embed "kernel.wasm"),
  ],
  compatibilityDate = "2026-11-17",
  durableObjectNamespaces = [(className = "GridpointPop", uniqueKey = "gridpoint-pop")],
  durableObjectStorage = (localDisk = "state"),
  bindings = [
    (name = "POP", durableObjectNamespace = "GridpointPop"),
    (name = "GRIDPOINT_CONFIG", fromEnvironment = "GRIDPOINT_CONFIG"),
    # Secrets that the config names as ${NAME} or under gossip are bindings like this:
    # (name = "CORE_KEY", fromEnvironment = "CORE_KEY"),
    (name = "POP_KEY", fromEnvironment = "POP_KEY"),
    (name = "POP_CERTIFICATE", fromEnvironment = "POP_CERTIFICATE"),
    (name = "GRID_ROOTS", fromEnvironment = "GRID_ROOTS"),
    # workerd by itself learns of a client that left only from a reset or a write that fails, so it
    # writes. HAProxy with "option abortonclose" in front resets, also where nothing can be written.
    (name = "GRIDPOINT_HEARTBEAT_MS", text = "15"),
  ],
);
