/** Plain (non-streamed) load by autocannon: closed loop over a few keep-alive connections. */
import { createRequire } from "node:module";
import { chatRequest } from "./http-client.ts";
import type { Site } from "./generator.ts";

interface AutocannonResult {
  "2xx": number;
  errors: number;
  non2xx: number;
  duration: number;
}

/** The package has no type declarations. */
type Autocannon = (options: Record<string, unknown>) => Promise<AutocannonResult>;
const autocannon = createRequire(import.meta.url)("autocannon") as Autocannon;

export interface PlainRun {
  requests: number;
  errors: number;
  rps: number;
}

export async function plainLoad(
  site: Site,
  connections: number,
  durationS: number,
  workers?: number,
): Promise<PlainRun> {
  const request = chatRequest(site.base, false, "id=0", {}).toString();
  const result = await autocannon({
    url: `${site.base}/v1/chat/completions`,
    method: "POST",
    headers: {
      "content-type": "application/json",
      authorization: "Bearer bench",
      ...site.headers,
    },
    body: request.slice(request.indexOf("\r\n\r\n") + 4),
    connections,
    // Threads that make the load; otherwise this one does.
    ...(workers === undefined ? {} : { workers }),
    duration: durationS,
    sampleInt: 100,
    // A target that does not answer counts as an error; it does not hold the bench.
    timeout: 5,
  });
  const requests = result["2xx"];
  return {
    requests,
    errors: result.errors + result.non2xx,
    rps: requests / result.duration,
  };
}
