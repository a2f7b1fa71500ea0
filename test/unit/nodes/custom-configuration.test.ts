import { describe, expect, it } from "vitest";
import { resolveConfiguration, type CustomConfiguration } from "../../../src/nodes/custom-configuration.js";
import { ABLATED, LIVE, RESTORED } from "../../../src/nodes/intervention.js";
import { countNodes } from "../../../src/nodes/node-states.js";
import { PatchbayError } from "../../../src/base/errors.js";

const sites = [
  { site: "mlp_out", layer: 0, dSae: 3 },
  { site: "resid_post", layer: 1, dSae: 2 },
] as const;
const MLP_ERROR = "blocks.0.hook_mlp_out.hook_sae_error";
const MLP_FEATURES = "blocks.0.hook_mlp_out.hook_sae_acts_post";
const RESID_FEATURES = "blocks.1.hook_resid_post.hook_sae_acts_post";
const nothing = { nodes: [], features: {}, positions: null };
const base: CustomConfiguration = { ablate: nothing, restore: nothing, threshold: null };

const resolve = (change: Partial<CustomConfiguration>): ReturnType<typeof resolveConfiguration> =>
  resolveConfiguration({ ...base, ...change }, sites, 4, {
    features: new Map([
      ["blocks.0.hook_mlp_out", new Float32Array(12)],
      ["blocks.1.hook_resid_post", Float32Array.from([1, 0, 0, 0, 0, 0, 0, 0])],
    ]),
    slices: new Map(),
    errors: new Map([
      ["blocks.0.hook_mlp_out", new Float32Array(4)],
      ["blocks.1.hook_resid_post", new Float32Array(4)],
    ]),
  });

const fieldOf = (change: Partial<CustomConfiguration>): string | undefined => {
  try {
    resolve(change);
  } catch (error) {
    return error instanceof PatchbayError && error.code === "bad_input" ? error.detail.field : String(error);
  }
  return undefined;
};

describe("a custom configuration", () => {
  it("that names nothing changes nothing", () => {
    expect(resolve({}).intervention.size).toBe(0);
  });

  it("applies positions to nodes and features alike, negative ones from the end", () => {
    const ablate = { nodes: [MLP_ERROR], features: { [RESID_FEATURES]: [1] }, positions: [-1, 3, 0] };
    const { intervention, nodesAblated } = resolve({ ablate });
    expect([...(intervention.get("blocks.0.hook_mlp_out")?.errors ?? [])]).toEqual([ABLATED, LIVE, LIVE, ABLATED]);
    const { features } = intervention.get("blocks.1.hook_resid_post") ?? { features: [] };
    expect([...features]).toEqual([LIVE, ABLATED, LIVE, LIVE, LIVE, LIVE, LIVE, ABLATED]);
    expect(nodesAblated).toBe(4);
  });

  it("takes a feature hook among the nodes as all features of the site", () => {
    expect(resolve({ ablate: { ...nothing, nodes: [MLP_FEATURES] } }).nodesAblated).toBe(12);
  });

  it("restores a node that both instructions name, and counts it", () => {
    const ablate = { ...nothing, nodes: [MLP_ERROR] };
    const { intervention, ...counts } = resolve({ ablate, restore: { ...ablate, positions: [1] } });
    expect([...(intervention.get("blocks.0.hook_mlp_out")?.errors ?? [])]).toEqual([
      ABLATED,
      RESTORED,
      ABLATED,
      ABLATED,
    ]);
    expect(counts).toEqual({ nodesAblated: 4, nodesRestored: 1, nodesNamedByBoth: 1 });
  });

  it("ablates besides what the threshold does not keep", () => {
    const { nodesAblated, nodesNamedByBoth } = resolve({
      threshold: { keep: "signed", value: 0.5 },
      restore: { nodes: [], features: { [RESID_FEATURES]: [0] }, positions: [0, 1] },
    });
    expect([nodesAblated, nodesNamedByBoth]).toEqual([12 + 4 + 7 + 4, 1]);
  });

  it("changes parts of errors like whole nodes, and counts them", () => {
    const [linear, rest] = [`${MLP_ERROR}_linear`, `${MLP_ERROR}_nonlinear`];
    const { intervention, ...counts } = resolve({
      ablate: { ...nothing, nodes: [linear, rest], positions: [1, -1] },
      restore: { ...nothing, nodes: [rest], positions: [1, 2] },
    });
    const site = intervention.get("blocks.0.hook_mlp_out");
    expect([...(site?.linear ?? [])]).toEqual([LIVE, ABLATED, LIVE, ABLATED]);
    expect([...(site?.nonlinear ?? [])]).toEqual([LIVE, RESTORED, RESTORED, ABLATED]);
    expect([...(site?.errors ?? [])]).toEqual([LIVE, LIVE, LIVE, LIVE]);
    expect([intervention.size, countNodes(intervention, ABLATED), countNodes(intervention, RESTORED)]).toEqual([
      1, 3, 2,
    ]);
    expect(counts).toEqual({ nodesAblated: 4, nodesRestored: 2, nodesNamedByBoth: 1 });
  });

  it("refuses a part beside its whole, and beside a threshold, which changes whole nodes", () => {
    const part = { ...nothing, nodes: [`${MLP_ERROR}_linear`] };
    expect(fieldOf({ ablate: { ...nothing, nodes: [MLP_ERROR] }, restore: part })).toBe("restore.nodes[0]");
    expect(fieldOf({ ablate: { ...part, nodes: [MLP_ERROR, ...part.nodes] } })).toBe("ablate.nodes[1]");
    expect(fieldOf({ ablate: part, threshold: { keep: "signed", value: 0 } })).toBe("ablate.nodes[0]");
    expect(fieldOf({ ablate: part, restore: { ...nothing, features: { [MLP_FEATURES]: [0] } } })).toBeUndefined();
  });

  it("refuses what does not exist and names the field", () => {
    expect(fieldOf({ ablate: { ...nothing, nodes: [MLP_ERROR, "blocks.0.hook_mlp_in"] } })).toBe("ablate.nodes[1]");
    expect(fieldOf({ restore: { ...nothing, nodes: ["blocks.9.hook_mlp_out.hook_sae_error"] } })).toBe(
      "restore.nodes[0]",
    );
    expect(fieldOf({ ablate: { ...nothing, nodes: ["blocks.0.hook_mlp_out"] } })).toBe("ablate.nodes[0]");
    expect(fieldOf({ ablate: { ...nothing, features: { [RESID_FEATURES]: [2] } } })).toBe(
      `ablate.features["${RESID_FEATURES}"]`,
    );
    expect(fieldOf({ ablate: { ...nothing, features: { [MLP_ERROR]: [0] } } })).toBe(`ablate.features["${MLP_ERROR}"]`);
    expect(fieldOf({ restore: { ...nothing, positions: [-5] } })).toBe("restore.positions");
    expect(() => resolveConfiguration({ ...base, threshold: { keep: "signed", value: 0 } }, sites, 4, null)).toThrow(
      "scores",
    );
  });
});
