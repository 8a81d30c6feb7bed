/** Checks of a config that no single knob can do: ids that repeat, tenants, capacities. */
import type { PopConfig } from "./config.ts";
import type { Problem } from "./environment.ts";
import { MODELS_MAX, REGIONS_MAX } from "./kernel/kernel.ts";

/** Tenants that endpoints can be restricted to: a bit each in the kernel, one for all others. */
const TENANTS_MAX = 31;

/** What no single knob can say. Reads a config that may be wrong in other places. */
export function crossProblems(output: unknown): Problem[] {
  const config = output as PopConfig;
  if (!Array.isArray(config?.endpoints) || !Array.isArray(config.auth?.keys)) return [];
  return [
    ...repeated(config.endpoints, "endpoints", "id"),
    ...repeated(config.auth.keys, "auth.keys", "sha256"),
    ...tenantProblems(config),
    ...aliasProblems(config),
    ...capacityProblems(config),
    ...bodyProblems(config),
  ];
}

function repeated<T extends object>(list: T[], path: string, key: keyof T & string): Problem[] {
  const first = new Map<unknown, number>();
  const problems: Problem[] = [];
  list.forEach((item, index) => {
    const value = item?.[key];
    const earlier = first.get(value);
    if (typeof value === "string" && earlier !== undefined) {
      const message = `is the ${key} of ${path}[${earlier}] already; each must be its own`;
      problems.push({ path: `${path}[${index}].${key}`, message });
    } else first.set(value, index);
  });
  return problems;
}

function tenantProblems({ endpoints, auth }: PopConfig): Problem[] {
  // Without keys everybody is the tenant "default".
  const named = auth.keys.length === 0 ? ["default"] : auth.keys.map((key) => key?.tenant);
  const known = [...new Set(named.filter((tenant) => typeof tenant === "string"))];
  const restricted = new Set<string>();
  const problems: Problem[] = [];
  endpoints.forEach((endpoint, index) => {
    for (const tenant of Array.isArray(endpoint?.tenants) ? endpoint.tenants : []) {
      restricted.add(tenant);
      if (known.includes(tenant)) continue;
      const message = `names "${tenant}", not a tenant of auth.keys (${known.join(", ")})`;
      problems.push({ path: `endpoints[${index}].tenants`, message });
    }
  });
  if (restricted.size > TENANTS_MAX) {
    const message = `restricts to ${restricted.size} different tenants; at most ${TENANTS_MAX}`;
    problems.push({ path: "endpoints", message });
  }
  return problems;
}

/** A chain names models. One that names another alias would wait for a model that never comes. */
function aliasProblems({ endpoints, models }: PopConfig): Problem[] {
  const aliases = models?.aliases ?? {};
  const served = new Set(endpoints.flatMap((endpoint) => endpoint?.models ?? []));
  // An alias may have the name of a model, which is then in its own chain.
  const isAlone = (name: string) =>
    Object.hasOwn(aliases, name) && !served.has(name) && !aliases[name].includes(name);
  return Object.entries(aliases).flatMap(([alias, chain]) =>
    chain.filter(isAlone).map((name) => {
      const message = `names "${name}", an alias itself; name the models of its chain`;
      return { path: `models.aliases.${alias}`, message };
    }),
  );
}

function capacityProblems({ endpoints, kernel }: PopConfig): Problem[] {
  const models = new Set(endpoints.flatMap((endpoint) => endpoint?.models ?? [])).size;
  const regions = new Set(endpoints.map((endpoint) => endpoint?.region)).size;
  const counts: [number, number, string][] = [
    [endpoints.length, kernel?.rows, "endpoints; kernel.rows is the most, and may be 4096"],
    [models, MODELS_MAX, "different models"],
    [regions, REGIONS_MAX, "different regions"],
  ];
  return counts.flatMap(([have, most, what]) =>
    have > most ? [{ path: "endpoints", message: `has ${have} of at most ${most} ${what}` }] : [],
  );
}

function bodyProblems({ limits }: PopConfig): Problem[] {
  const { bodyBytes = 0, bodiesBytes = 0 } = limits ?? {};
  if (bodiesBytes >= bodyBytes) return [];
  const message = `is ${bodiesBytes}, below limits.bodyBytes (${bodyBytes}): one must fit`;
  return [{ path: "limits.bodiesBytes", message }];
}
