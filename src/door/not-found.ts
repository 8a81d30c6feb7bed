/** What to say to who asks for a path that is none: most often its base URL is at fault. */
import { GridError } from "../grid/errors.ts";
import { DOORS, ROUTES } from "../task/route.ts";

const OWN = ["/healthz", "/readyz", "/metrics", "/openapi.json"];
const GRID = ["/grid/state", "/grid/explain", "/grid/drain"];
const PATHS = ["/v1/models", "/v1/realtime", ...ROUTES.map((route) => `/v1${DOORS[route].path}`)];
const BASES =
  "OpenAI's SDKs want a base URL that ends in /v1, Anthropic's and Google's one without it";

export function nothingAt(method: string, path: string): GridError {
  const near = nearPath(path);
  const advice =
    near === undefined
      ? `This PoP serves ${PATHS.join(", ")}; what has a model in its path is at /v1beta, too.`
      : `Did you mean ${near}? ${BASES}.`;
  return new GridError("not_found", `Nothing is at ${method} ${path.slice(0, 200)}. ${advice}`);
}

/** The path without what a base URL adds or lacks: slashes, `/v1` that is missing or twice. */
function nearPath(path: string): string | undefined {
  const bare = (text: string) => text.replace(/^(\/v1(?=\/))+/, "");
  const wanted = bare(`/${path.slice(0, 200).split("/").filter(Boolean).join("/")}`);
  return [...PATHS, ...OWN, ...GRID].find((known) => bare(known) === wanted);
}
