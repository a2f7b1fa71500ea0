import { execFileSync } from "node:child_process";
import { join } from "node:path";
import type { Deployment, StatefulSet } from "kubernetes-types/apps/v1.d.ts";
import type { ConfigMap, Container, PersistentVolumeClaim, PodSpec, Service } from "kubernetes-types/core/v1.d.ts";
import { beforeAll, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { must } from "../../../src/base/assert.js";
import { release } from "../../../src/base/code-version.js";
import { findKubectl } from "../../../scripts/kubectl.js";
import { isLeftOut } from "../../left-out.js";
import { schemaFaults, type KubernetesObject } from "./kubernetes-schema.js";

const DEPLOY = join(import.meta.dirname, "..", "..", "..", "deploy");
const OVERLAYS = ["base", "overlays/gpu"] as const;

function render(folder: string): KubernetesObject[] {
  const kubectl = findKubectl();
  if (kubectl === null)
    throw new Error("no kubectl 1.22 or later: run `node scripts/kubectl.js`, which fetches one or says why not");
  const text = execFileSync(kubectl, ["kustomize", join(DEPLOY, folder)], { encoding: "utf8" });
  return parseAllDocuments(text).map((document) => document.toJS() as KubernetesObject);
}

describe.skipIf(isLeftOut(findKubectl())).each(OVERLAYS)("deploy/%s", (folder) => {
  let objects: KubernetesObject[] = [];

  beforeAll(() => {
    objects = render(folder);
  });

  const ofKind = <T>(kind: string): T[] => objects.filter((object) => object.kind === kind) as T[];
  const workloads = (): (Deployment | StatefulSet)[] => [
    ...ofKind<Deployment>("Deployment"),
    ...ofKind<StatefulSet>("StatefulSet"),
  ];
  const podOf = (workload: Deployment | StatefulSet): PodSpec => must(workload.spec?.template.spec, "pod");
  const nameOf = (object: { metadata?: { name?: string } }): string => must(object.metadata?.name, "name");
  const containers = (): Container[] => workloads().flatMap((workload) => podOf(workload).containers);
  const container = (name: string): Container =>
    must(
      containers().find((one) => one.name === name),
      name,
    );

  test("renders the coordinator, NATS and the workers", () => {
    expect(
      objects.map(({ kind, metadata }) => `${kind} ${metadata.name.replace(/-[a-z0-9]{10}$/, "")}`).sort(),
    ).toEqual([
      "ConfigMap nats",
      "ConfigMap patchbay",
      "Deployment coordinator",
      "Deployment worker",
      "Namespace patchbay",
      "PersistentVolumeClaim inputs",
      "PersistentVolumeClaim runs",
      "Service coordinator",
      "Service nats",
      "StatefulSet nats",
    ]);
  });

  test("every object fits the Kubernetes API: no unknown, missing or mistyped field", () => {
    expect(schemaFaults(objects)).toEqual([]);
  });

  test("every selector finds its pods, and every service a named port of them", () => {
    for (const workload of workloads()) {
      expect(workload.spec?.template.metadata?.labels).toMatchObject(
        must(workload.spec?.selector.matchLabels, "selector"),
      );
    }
    for (const service of ofKind<Service>("Service")) {
      const target = workloads().filter(({ spec }) =>
        Object.entries(must(service.spec?.selector, "selector")).every(
          ([label, value]) => spec?.template.metadata?.labels?.[label] === value,
        ),
      );
      const ports = target.flatMap((workload) => podOf(workload).containers.flatMap((one) => one.ports ?? []));
      for (const { targetPort } of must(service.spec?.ports, "ports")) {
        expect(ports.map((port) => port.name)).toContain(targetPort);
      }
    }
  });

  test("every volume and configuration that a pod names exists", () => {
    const claims = ofKind<PersistentVolumeClaim>("PersistentVolumeClaim").map(nameOf);
    const configs = ofKind<ConfigMap>("ConfigMap").map(nameOf);
    for (const workload of workloads()) {
      const pod = podOf(workload);
      const templates = "volumeClaimTemplates" in must(workload.spec, "spec") ? ["data"] : [];
      const volumes = [...(pod.volumes ?? []).map(({ name }) => name), ...templates];
      for (const volume of pod.volumes ?? []) {
        if (volume.persistentVolumeClaim) expect(claims).toContain(volume.persistentVolumeClaim.claimName);
        if (volume.configMap) expect(configs).toContain(volume.configMap.name);
      }
      for (const { volumeMounts, envFrom } of pod.containers) {
        for (const mount of volumeMounts ?? []) expect(volumes).toContain(mount.name);
        for (const source of envFrom ?? []) expect(configs).toContain(source.configMapRef?.name);
      }
    }
  });

  test("no container runs as root, writes its image, gains privileges, or lacks resource requests and a memory limit", () => {
    for (const workload of workloads()) {
      expect(podOf(workload).securityContext).toMatchObject({
        runAsNonRoot: true,
        seccompProfile: { type: "RuntimeDefault" },
      });
    }
    for (const one of containers()) {
      expect(one.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
      expect(one.resources?.requests).toMatchObject({
        cpu: expect.anything() as unknown,
        memory: expect.anything() as unknown,
      });
      expect(one.resources?.limits).toMatchObject({ memory: expect.anything() as unknown });
    }
  });

  test("servers have probes on a port that they open", () => {
    for (const name of ["coordinator", "nats"]) {
      const { ports, startupProbe, readinessProbe, livenessProbe } = container(name);
      for (const probe of [startupProbe, readinessProbe, livenessProbe]) {
        const port = probe?.tcpSocket?.port ?? probe?.httpGet?.port;
        expect(must(ports, "ports").map((open) => open.name)).toContain(port);
      }
    }
  });

  test("roles find one another: addresses in the configuration are services, and their ports are open", () => {
    const config = must(
      ofKind<ConfigMap>("ConfigMap").find((one) => nameOf(one).startsWith("patchbay")),
      "config",
    ).data;
    const services = ofKind<Service>("Service").flatMap((one) =>
      (one.spec?.ports ?? []).map(({ port }) => `${nameOf(one)}:${String(port)}`),
    );
    expect(services).toContain(config?.["COORDINATOR"]);
    expect(services).toContain(config?.["LOG"]?.replace("nats://", ""));
    expect(container("coordinator").args).toEqual([
      "coordinator",
      "--listen",
      "0.0.0.0:7070",
      "--runs",
      "/runs",
      "--log",
      "$(LOG)",
    ]);
    expect(container("worker").args).toEqual([
      "worker",
      "--coordinator",
      "$(COORDINATOR)",
      "--log",
      "$(LOG)",
      "--backend",
      "$(BACKEND)",
    ]);
  });

  test("there is one coordinator at a time", () => {
    const coordinator = must(
      ofKind<Deployment>("Deployment").find((one) => nameOf(one) === "coordinator"),
      "coordinator",
    );
    expect(coordinator.spec).toMatchObject({ replicas: 1, strategy: { type: "Recreate" } });
  });

  test("GPU workers ask for one GPU and use the CUDA image; CPU workers do neither", () => {
    const { image, resources } = container("worker");
    const gpus = resources?.limits?.["nvidia.com/gpu"];
    const wanted = folder === "base" ? [`patchbay:${release()}`, undefined] : [`patchbay-cuda:${release()}`, "1"];
    expect([image, gpus]).toEqual(wanted);
  });
});

describe("the schema check", () => {
  const service = { apiVersion: "v1", kind: "Service", metadata: { name: "x" }, spec: { ports: [{ port: 1 }] } };

  test.each([
    ["an unknown field", { ...service, spec: { ports: [{ port: 1, prot: "TCP" }] } }],
    ["a mistyped field", { ...service, spec: { ports: [{ port: "1" }] } }],
    ["a missing field", { ...service, spec: { ports: [{ name: "a" }] } }],
    ["an unknown kind", { ...service, kind: "Servce" }],
    ["another kind's version", { ...service, apiVersion: "v2" }],
  ])("finds %s", (_name, object) => {
    expect(schemaFaults([object])).not.toEqual([]);
  });

  test("accepts a valid object", () => {
    expect(schemaFaults([service])).toEqual([]);
  });
});
