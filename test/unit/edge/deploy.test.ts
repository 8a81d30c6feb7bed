/**
 * The files of edge/deploy say what they should: manifests against schemas that know every key
 * used, configs against the PoP's own, images and worker against what is in the repository.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { parseConfigText } from "../../../edge/config-file.ts";
import * as worker from "../../../edge/workerd.ts";
import { parseConfig } from "../../../src/config.ts";

const FOLDER = new URL("../../../edge/deploy/", import.meta.url);
const read = (name: string) => readFileSync(new URL(name, FOLDER), "utf8");

const labels = v.record(v.string(), v.string());
const metadata = v.strictObject({ name: v.string(), labels: v.optional(labels) });
const selector = v.strictObject({ matchLabels: labels });
const port = v.union([v.string(), v.number()]);
const probe = v.strictObject({
  httpGet: v.strictObject({ path: v.picklist(["/healthz", "/readyz"]), port }),
  periodSeconds: v.optional(v.number()),
  failureThreshold: v.optional(v.number()),
});
const quantities = v.strictObject({ cpu: v.optional(v.string()), memory: v.string() });

const container = v.strictObject({
  ...{ name: v.string(), image: v.string(), args: v.array(v.string()) },
  ports: v.array(v.strictObject({ name: v.string(), containerPort: v.number() })),
  ...{ startupProbe: probe, livenessProbe: probe, readinessProbe: probe },
  resources: v.strictObject({ requests: quantities, limits: quantities }),
  securityContext: v.strictObject({
    allowPrivilegeEscalation: v.literal(false),
    readOnlyRootFilesystem: v.literal(true),
    capabilities: v.strictObject({ drop: v.tuple([v.literal("ALL")]) }),
  }),
  volumeMounts: v.array(
    v.strictObject({ name: v.string(), mountPath: v.string(), readOnly: v.literal(true) }),
  ),
});

const pod = v.strictObject({
  automountServiceAccountToken: v.literal(false),
  terminationGracePeriodSeconds: v.number(),
  securityContext: v.strictObject({
    runAsNonRoot: v.literal(true),
    runAsUser: v.pipe(v.number(), v.minValue(1)),
    seccompProfile: v.strictObject({ type: v.literal("RuntimeDefault") }),
  }),
  containers: v.tuple([container]),
  volumes: v.array(
    v.strictObject({ name: v.string(), configMap: v.strictObject({ name: v.string() }) }),
  ),
});

const KINDS = {
  Deployment: v.strictObject({
    ...{ apiVersion: v.literal("apps/v1"), kind: v.string(), metadata },
    spec: v.strictObject({
      replicas: v.literal(1),
      strategy: v.strictObject({
        type: v.literal("RollingUpdate"),
        rollingUpdate: v.strictObject({ maxSurge: v.number(), maxUnavailable: v.number() }),
      }),
      selector,
      template: v.strictObject({
        metadata: v.strictObject({ labels, annotations: labels }),
        spec: pod,
      }),
    }),
  }),
  Service: v.strictObject({
    ...{ apiVersion: v.literal("v1"), kind: v.string(), metadata },
    spec: v.strictObject({
      selector: labels,
      ports: v.array(
        v.strictObject({ name: v.string(), port, targetPort: port, protocol: v.literal("TCP") }),
      ),
    }),
  }),
  PodDisruptionBudget: v.strictObject({
    ...{ apiVersion: v.literal("policy/v1"), kind: v.string(), metadata },
    spec: v.strictObject({ maxUnavailable: v.number(), selector }),
  }),
};

describe("Kubernetes", () => {
  const kustomization = parse(read("kubernetes/kustomization.yaml")) as {
    resources: string[];
    configMapGenerator: { name: string; files: string[] }[];
  };

  test("the base names every file there is, and no other", () => {
    const named = [
      ...kustomization.resources,
      ...(kustomization.configMapGenerator[0]?.files ?? []),
    ];
    const there = readdirSync(new URL("kubernetes/", FOLDER));
    expect([...named, "kustomization.yaml"].sort()).toEqual(there.sort());
  });

  test.each(kustomization.resources)("%s fits its schema", (name) => {
    const manifest = parse(read(`kubernetes/${name}`)) as { kind: keyof typeof KINDS };
    const { issues } = v.safeParse(KINDS[manifest.kind], manifest);
    expect(issues?.map((issue) => `${v.getDotPath(issue)} ${issue.message}`)).toBeUndefined();
  });

  test("selectors, ports and the config map's name meet", () => {
    const [deployment, service, budget] = kustomization.resources.map((name) =>
      parse(read(`kubernetes/${name}`)),
    );
    const { template } = deployment.spec;
    for (const one of [deployment.spec.selector.matchLabels, service.spec.selector]) {
      expect(template.metadata.labels).toEqual(one);
    }
    expect(budget.spec.selector.matchLabels).toEqual(service.spec.selector);
    expect(template.spec.volumes[0].configMap.name).toBe(kustomization.configMapGenerator[0]?.name);
    expect(template.spec.containers[0].ports[0].name).toBe(service.spec.ports[0].targetPort);
  });

  test("its PoP's config is right, and a pod has longer to end than the PoP to drain", () => {
    const file = "kubernetes/pop.yaml";
    const parsed = parseConfigText(read(file), file, {});
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    const { spec } = parse(read("kubernetes/deployment.yaml")).spec.template;
    expect(spec.terminationGracePeriodSeconds * 1000).toBeGreaterThan(
      parsed.config.timeouts.drainMs,
    );
    expect(spec.containers[0].ports[0].containerPort).toBe(parsed.config.listen.port);
  });
});

test.each(["Dockerfile", "Dockerfile.bun", "Dockerfile.deno"])(
  "%s: two stages, not root",
  (name) => {
    const lines = read(name).split("\n");
    const from = lines.filter((line) => line.startsWith("FROM "));
    expect(from).toHaveLength(2);
    expect(from[0]).toMatch(/ AS build$/);
    const last = lines.slice(lines.lastIndexOf(from[1] as string));
    expect(last.some((line) => /^USER (?!root|0$)\S+$/.test(line))).toBe(true);
    expect(last.some((line) => /^COPY --from=build /.test(line))).toBe(true);
    expect(read(name)).toContain("edge/build.ts");
    // The bundler's binary is an optional package.
    expect(read(name)).not.toContain("omit");
  },
);

test("the systemd unit drains, reloads, and is nobody", () => {
  const unit = read("gridpoint.service");
  expect(unit).toMatch(/^ExecReload=.*-HUP/m);
  expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1])).toBeGreaterThan(60);
  expect(unit).toMatch(/^DynamicUser=yes$/m);
});

test("wrangler.jsonc: its main, its class and its config are there and right", () => {
  const text = read("wrangler.jsonc").replace(/^\s*\/\/.*$/gm, "");
  const config = JSON.parse(text);
  expect(existsSync(new URL(config.main, FOLDER))).toBe(true);
  const [{ name, class_name: className }] = config.durable_objects.bindings;
  expect(name).toBe("POP");
  expect(config.migrations[0].new_sqlite_classes).toEqual([className]);
  expect(worker).toHaveProperty(className);
  expect(parseConfig(config.vars.GRIDPOINT_CONFIG)).toMatchObject({ ok: true });
});

test("workerd.capnp names what the build writes", () => {
  const capnp = read("workerd.capnp");
  for (const file of ["worker.js", "kernel.wasm"]) expect(capnp).toContain(`embed "${file}"`);
  expect(capnp).toContain('className = "GridpointPop"');
});
