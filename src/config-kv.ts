/** The knobs of an endpoint's KV events. Part of `config.ts`. */
import * as v from "valibot";
import type { KvEventsSpec } from "./grid/endpoint.ts";
import * as knob from "./knob.ts";

const ADDRESS = "tcp://host:port with the host that this PoP connects to, as tcp://10.0.0.11:5557";

/** `*` and `0.0.0.0` are where an engine listens, not where it is reached. */
function isAddress(text: string): boolean {
  const parts = /^tcp:\/\/([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})$/.exec(text);
  if (parts === null || /^(0\.0\.0\.0|\[::\])$/.test(parts[1])) return false;
  const port = Number(parts[2]);
  return port >= 1 && port <= 65_535;
}

const PORTS_END = 65_536;

export const KvEvents = v.optional(
  v.pipe(
    knob.section({
      // vLLM's --kv-events-config endpoint, SGLang's and TensorRT-LLM's of the same name.
      url: knob.text(ADDRESS, isAddress),
      // Its replay_endpoint. Left out: what gets lost on the way is learned anew from the answers.
      replay: v.optional(knob.text(ADDRESS, isAddress)),
      // Empty: whatever is published there.
      topic: knob.textOr("0 to 128 characters of ASCII", (x) => /^[\x20-\x7e]{0,128}$/.test(x), ""),
      // Data-parallel ranks publish on ports that follow one another.
      ranks: knob.count("ranks", 1, 64, 1),
    }),
    v.check((spec) => lastPort(spec as KvEventsSpec) < PORTS_END, "has a rank above port 65535"),
  ),
);

function lastPort({ url, replay, ranks }: KvEventsSpec): number {
  const ports = [url, replay].map((text) => Number(/\d+$/.exec(String(text))?.[0] ?? 0));
  return Math.max(...ports) + ranks - 1;
}
