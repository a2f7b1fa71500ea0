/** @file Sets of nodes: what they come to, what they need, and which are refused. */
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { must } from "../../../src/base/assert.js";
import { PatchbayError } from "../../../src/base/errors.js";
import { REGISTER } from "../../../src/experiments/registry.js";
import { readModelConfig } from "../../../src/families/read-config.js";
import { nodeKey } from "../../../src/nodes/node.js";
import { blocksFor } from "../../../src/plan/blocks.js";
import { planSweep } from "../../../src/plan/make-plan.js";
import { layersOfSet } from "../../../src/plan/node-places.js";
import { nodeListOf } from "../../../src/plan/node-list.js";
import { checkSets } from "../../../src/plan/check-sets.js";
import type { PlanContext } from "../../../src/plan/plan-part.js";
import { readSweep } from "../../../src/sweep/read-sweep.js";
import { slotGroups } from "../../../src/plan/node-slots.js";
import type { Plan } from "../../../src/plan/plan.js";
import { tokenCounts } from "../../../src/plan/held-out.js";

const BASE = `name: sets
model: { path: model }
saes: { path: saes }
dataset: { path: data/pairs.jsonl }
scores: [{ name: atp, method: atp }, { name: relp, method: relp }]
`;

async function planOf(nodes: string, base = BASE): Promise<Plan> {
  const text = `${base}truth: { nodes: [${nodes}] }\n`;
  const source = { text, file: "sweep.yaml", baseFolder: resolve("test/fixtures/tiny-a") };
  return (await planSweep(REGISTER.experiments, source, { backend: "wasm", autoThreads: 1 })).plan;
}

async function groupsOf(nodes: string): Promise<ReturnType<typeof slotGroups>> {
  const { sweep, shape, saes, prompts } = await planOf(nodes);
  return slotGroups({ sweep, shape, saes, lengths: tokenCounts({ prompts }) });
}

async function keysOf(nodes: string): Promise<string[]> {
  return (await groupsOf(nodes)).flatMap((group) => ("nodes" in group ? group.nodes.map(nodeKey) : []));
}

describe("a set of nodes", () => {
  it.each([
    ["all", [0, 1, 2, 3]],
    ["-1", [3]],
    ["1..-2", [1, 2]],
    ["[0, 2..3, 2]", [0, 2, 3]],
  ])("has layers %s", (layers, expected) => {
    const given = layers.startsWith("[") ? [0, "2..3", 2] : /^-?\d+$/.test(layers) ? Number(layers) : layers;
    expect(layersOfSet({ layers: [given].flat() }, 4)).toEqual(expected);
  });

  it("is every node of its kinds at its sites, layers and positions", async () => {
    expect(await keysOf("{ kind: error, site: [mlp_out, attn_z], layers: 1, at: [-1, global] }")).toEqual([
      "blocks.1.attn.hook_z.hook_sae_error 6 ",
      "blocks.1.attn.hook_z.hook_sae_error global ",
      "blocks.1.hook_mlp_out.hook_sae_error 6 ",
      "blocks.1.hook_mlp_out.hook_sae_error global ",
    ]);
    expect(await keysOf("{ kind: [head, site], site: attn_z, layers: 0, at: 3 }")).toEqual([
      "blocks.0.attn.hook_z 3 ",
      ...[0, 1, 2, 3].map((head) => `blocks.0.attn.hook_z.heads 3 ${String(head)}`),
    ]);
    expect(await keysOf("{ kind: neuron, layers: 2, at: [5, 6] }")).toHaveLength(2 * 96);
    expect(await keysOf("{ kind: feature, site: resid_post, layers: 0, at: -1 }")).toHaveLength(128);
  });

  it("is measured once where two sets have a node in common, or a set and a short form", async () => {
    const twice = await keysOf("{ kind: error, layers: 0, at: 6 }, { kind: error, layers: 0..1, at: [6, 5] }");
    expect(new Set(twice).size).toBe(twice.length);
    expect(twice).toHaveLength(3 * 4);
    const { nodeSlots } = await planOf("{ kind: error, layers: 0, at: 6 }], errors: { layers: [0] }, positions: [6");
    expect(nodeSlots).toBe(3);
  });

  it("has a slot for each node that will be chosen, and waits for the scores that rank it", async () => {
    const plan = await planOf(
      "{ kind: neuron, top: 5, at: [-1, global] }, { kind: feature, layers: 0, sample: { n: 7 }, by: relp }",
    );
    expect(plan.nodeSlots).toBe(4 * 2 * 5 + 3 * 7);
    const nodes = plan.stages.find(({ id }) => id === "nodes");
    expect([...(nodes?.dependsOn ?? [])].sort()).toEqual(["means", "scores-atp", "scores-relp"]);
    expect(plan.sweep.scores.map(({ neurons }) => neurons)).toEqual([true, true]);
    expect((await planOf("{ kind: error, at: -1 }")).sweep.scores.map(({ neurons }) => neurons)).toEqual([
      undefined,
      undefined,
    ]);
  });

  it.each([
    ["{ kind: neuron, layers: 4 }", "truth.nodes[0].layers: the model has layers 0 to 3, got 4"],
    ["{ kind: neuron, layers: -5 }", "truth.nodes[0].layers: the model has layers 0 to 3, got -1"],
    ["{ kind: neuron, layers: 3..1 }", "truth.nodes[0].layers: names no layer"],
    ["{ kind: neuron, layers: 1-3 }", "truth.nodes[0].layers"],
    ["{ kind: neuron, at: 7 }", "truth.nodes[0].at: the kept prompts have at most 7 tokens"],
    ["{ kind: neuron, by: atp }", "truth.nodes[0].by: ranks nodes, and this set takes all of them"],
    ["{ kind: neuron, top: 3, by: ig }", "truth.nodes[0].by: no scores are called ig (there are: atp, relp)"],
    ["{ kind: neuron, site: resid_post }", "truth.nodes[0]: has no neuron node at these sites and layers"],
    ["{ kind: [error, neuron], site: mlp_out }", "truth.nodes[0]: has no neuron node at these sites and layers"],
    [
      "{ kind: neuron, sample: { n: 3 } }, { kind: [neuron, head], layers: 1, at: -1, sample: { n: 4, seed: 2 } }",
      "truth.nodes[1].sample: is a second sample of neuron nodes at blocks.1.mlp.hook_post, position 6",
    ],
    ["{ kind: neurons }", "truth.nodes[0].kind"],
    ["{ kind: neuron, top: 0 }", "truth.nodes[0].top"],
    ["{ kind: neuron, tops: 3 }", "tops"],
    ["", "truth.nodes"],
  ])("is refused where it names what is not there: %s", async (nodes, message) => {
    await expect(planOf(nodes)).rejects.toSatisfy(
      (error: unknown) => error instanceof PatchbayError && error.message.includes(message),
    );
  });

  it("that is a sample of features is refused beside the short form's sample of the same", async () => {
    const nodes =
      "{ kind: feature, layers: 1, at: 2, sample: { n: 4 } }], features: { top: 1, random: 1 }, positions: [2";
    await expect(planOf(nodes)).rejects.toThrow("truth.nodes[0].sample: is a second sample of feature nodes");
  });

  it("of neurons takes smaller blocks of prompts: their scores are the largest arrays", () => {
    const config = readModelConfig(resolve("test/fixtures/tiny-a/model"));
    const like2b = { ...config, nLayers: 26, dModel: 2304, dMlp: 9216, nHeads: 8, nKvHeads: 4, headDim: 256 };
    const sizes = { config: like2b, dSae: 0, positions: 43 };
    expect(blocksFor(sizes, 8192).prompts).toBe(32);
    // 256 MiB of a payload are 6 prompts of 43 tokens.
    expect(blocksFor({ ...sizes, neurons: true }, 8192).prompts).toBe(6);
  });

  it("of an SAE's parts is refused without SAEs", async () => {
    await expect(planOf("{ kind: error }", BASE.replace("saes: { path: saes }\n", ""))).rejects.toThrow(
      "truth.nodes[0].kind: patching of error nodes needs SAEs",
    );
  });
});

const SETS = `sets:
  err: { kind: error, site: resid_post, at: -1 }
  feat: { kind: feature, site: resid_post, at: -1 }
  drawn: { set: feat, sample: { n: 5 } }
  round: [{ set: round }]
`;

/** The plan of sets that say more than kind and place, beside named ones. */
async function planWith(nodes: string, base = BASE + SETS.replace(/ {2}round.*\n/, "")): Promise<Plan> {
  return planOf(nodes, base);
}

async function namedGroups(nodes: string): Promise<ReturnType<typeof slotGroups>> {
  const plan = await planWith(nodes);
  return slotGroups({ ...plan, lengths: tokenCounts(plan) });
}

describe("a set of the whole grammar", () => {
  it.each([
    ["err", "{ kind: error, site: resid_post, at: -1 }"],
    [
      "[err, { kind: error, site: mlp_out, at: 3 }]",
      "{ kind: error, site: resid_post, at: -1 }, { kind: error, site: mlp_out, at: 3 }",
    ],
    ["{ set: err, layers: 1..2 }", "{ kind: error, site: resid_post, layers: 1..2, at: -1 }"],
    [
      "{ kind: error, at: [-1, global], minus: { kind: error, site: [mlp_out, attn_z] } }",
      "{ kind: error, at: global }, { kind: error, site: resid_post, at: -1 }",
    ],
    [
      "{ set: { kind: [error, head], at: [3, global], layers: 0 }, at: global }",
      "{ kind: [error, head], at: global, layers: 0 }",
    ],
  ])("that goes by no score is known when the run is planned: %s", async (nodes, plain) => {
    const keys = async (text: string): Promise<string[]> =>
      (await namedGroups(text)).flatMap((group) => ("nodes" in group ? group.nodes.map(nodeKey) : ["?"])).toSorted();
    const own = await keys(nodes);
    expect(own.length).toBeGreaterThan(0);
    if (!nodes.includes("minus")) expect(own).toEqual(await keys(plain));
    expect((await planWith(nodes)).stages.find(({ id }) => id === "nodes")?.dependsOn).toEqual([]);
  });

  it("takes away from nodes at single positions and from those at all positions each what is there", async () => {
    const groups = await namedGroups(
      "{ kind: error, layers: 0, at: [-1, global], minus: [{ kind: error, site: mlp_out, at: -1 }, { kind: error, site: attn_z, at: global }] }",
    );
    expect(groups.flatMap((group) => ("nodes" in group ? group.nodes.map(nodeKey) : []))).toEqual([
      "blocks.0.attn.hook_z.hook_sae_error 6 ",
      "blocks.0.hook_resid_post.hook_sae_error 6 ",
      "blocks.0.hook_mlp_out.hook_sae_error global ",
      "blocks.0.hook_resid_post.hook_sae_error global ",
    ]);
  });

  it.each([
    ["features", "{ kind: feature, site: mlp_out, layers: 0, at: 2, features: [3, 7] }", 2],
    ["heads", "{ kind: head, layers: 1..2, at: [2, global], heads: [0, 3] }", 8],
    ["neurons", "{ kind: neuron, layers: 3, at: -1, neurons: [5] }", 1],
  ])("has the nodes of the indexes that %s lists", async (_field, nodes, count) => {
    const keys = (await namedGroups(nodes)).flatMap((group) => ("nodes" in group ? group.nodes.map(nodeKey) : []));
    expect(new Set(keys).size).toBe(count);
    expect(keys).toHaveLength(count);
  });

  it.each([
    ["{ kind: error, at: [2, global], where: abs >= 0.01 }", 24],
    ["{ set: feat, where: score > 0, top: 7 }", 28],
    ["{ set: feat, where: score > 0, top: 7, per: site }", 7],
    ["{ kind: [feature, error], at: 2, top: 7, per: all }", 14],
    ["{ kind: feature, at: [1, 2, 3], top: 2, over: sum }", 72],
    ["{ set: [feat, err], top: 3 }", 12 + 4],
    ["{ set: feat, top: 3, sample: { n: 4 } }", 28],
    ["{ set: feat, match: { to: err, how: closest } }", 4],
    ["{ set: feat, match: { to: err, how: committee } }", 4 * 128],
    ["{ set: feat, layers: 0, features: [1, 2], where: score > 0 }", 2],
    ["drawn", 20],
    ["{ set: { set: feat, top: 4 }, layers: 1..2 }", 8],
    ["[drawn, { set: err, where: score > 0 }]", 24],
  ])("that goes by scores has a slot for each node that it may come to: %s", async (nodes, slots) => {
    const plan = await planWith(nodes);
    expect(plan.nodeSlots).toBe(slots);
    expect(plan.stages.find(({ id }) => id === "nodes")?.dependsOn).toContain("scores-atp");
  });

  it("waits for all scores that it goes by, within other sets too", async () => {
    const { stages } = await planWith("{ set: err, minus: { kind: error, where: score < 0, by: relp } }");
    expect(stages.find(({ id }) => id === "nodes")?.dependsOn).toEqual(["scores-relp"]);
  });

  it("may have kinds that circuits of the sweep are not made of, though other sets may not", async () => {
    const named = (sets: string): string =>
      `${BASE}sets: { some: { kind: neuron, layers: 0, at: -1, neurons: [1] }${sets} }\n`;
    expect((await planOf("some", named(""))).nodeSlots).toBe(1);
    await expect(planOf("some", named(", other: { kind: neuron }"))).rejects.toThrow(
      "sets.other.kind: circuits of this sweep are made of feature, error",
    );
    const used = `${named("")}experiments: [{ name: x, grid: {}, ablate: some }]\n`;
    await expect(planOf("some", used)).rejects.toThrow(
      "experiments[0].ablate.kind: circuits of this sweep are made of",
    );
  });

  it.each([
    ["lost", "truth.nodes[0]: no set is called lost (there are: err, feat, drawn); name it under `sets`"],
    ["err, [err, { set: lost }]", "truth.nodes[1][1]: no set is called lost"],
    ["{ set: err, layers: 9 }", "truth.nodes[0].layers: the model has layers 0 to 3, got 9"],
    ["{ set: err, at: 99 }", "truth.nodes[0].at: the kept prompts have at most 7 tokens"],
    ["{ set: err, at: 2 }", "truth.nodes[0]: names no node: the set that it starts from has none at these places"],
    ["{ set: err, at: global }", "truth.nodes[0]: names no node: the set that it starts from has none at these places"],
    ["{ set: err, by: relp }", "truth.nodes[0].by: ranks nodes, and this set takes all of them"],
    ["{ set: err, top: 1, by: ig }", "truth.nodes[0].by: no scores are called ig (there are: atp, relp)"],
    ["{ where: score > 0 }", "truth.nodes[0]: names no kind of node; give `kind`, or a `set` to start from"],
    ["{ layers: 3 }", "truth.nodes[0]: names no kind of node"],
    ["{ kind: feature, features: [128] }", "truth.nodes[0].features: there are features 0 to 127, got 128"],
    ["{ kind: head, heads: [4] }", "truth.nodes[0].heads: there are heads 0 to 3, got 4"],
    ["{ kind: neuron, neurons: [96] }", "truth.nodes[0].neurons: there are neurons 0 to 95, got 96"],
    ["{ kind: neuron, site: mlp_out, minus: err }", "truth.nodes[0]: names no node: there are MLP neurons at mlp_post"],
    ["{ kind: error_linear, minus: err }", "truth.nodes[0].kind: error_linear"],
    [
      "{ set: feat, match: { to: { kind: error, site: mlp_out }, how: closest } }",
      "truth.nodes[0].match: `to` has no node",
    ],
    ["{ set: feat, match: { to: err, how: nearest } }", "truth.nodes[0].match.how"],
    ["{ set: feat, where: score ~ 3 }", "truth.nodes[0].where: a threshold is such as"],
    ["{ set: feat, top: 1, per: column }", "truth.nodes[0].per"],
    ["{ set: feat, top: 1, sign: both }", "truth.nodes[0].sign"],
    ["{ set: feat, top: 1, over: mean }", "truth.nodes[0].over"],
    [
      "{ set: feat, top: $K }",
      'truth.nodes[0].top: expected number, got "$K" ($K would be an axis, and only `experiments` have a `grid`)',
    ],
    ["{ set: feat, where: abs >= $t }", "($t would be an axis, and only `experiments` have a `grid`)"],
    ["{ set: $what, layers: 1 }", "($what would be an axis"],
    ["{ set: err, layers: 0..$T }", "($T would be an axis"],
    ["{ set: drawn, top: 2 }", "truth.nodes[0].top: `top` depends on which nodes a sample drew"],
    ["{ set: feat, minus: drawn }", "truth.nodes[0].minus: `minus` depends on which nodes a sample drew"],
    [
      "{ set: feat, match: { to: { set: err, sample: { n: 1 } }, how: closest } }",
      "truth.nodes[0].match: `match` depends",
    ],
    ["{ set: feat, sample: { n: 9 }, match: { to: err, how: closest } }", "truth.nodes[0].match: `match` depends"],
    [
      "drawn, { kind: feature, layers: 1, at: -1, sample: { n: 2 } }",
      "truth.nodes[1].sample: is a second sample of feature nodes at blocks.1.hook_resid_post.hook_sae_acts_post, position 6",
    ],
    ["[drawn, { set: drawn, layers: 0 }]", "truth.nodes[0][1].sample: is a second sample of feature nodes at blocks.0"],
    ["{ set: [drawn, drawn], layers: 0 }", "truth.nodes[0].sample: is a second sample"],
  ])("is refused where it says what cannot be: %s", async (nodes, message) => {
    await expect(planWith(nodes)).rejects.toSatisfy(
      (error: unknown) =>
        error instanceof PatchbayError && error.code === "bad_input" && error.message.includes(message),
    );
  });

  it("is told with the line where it stands", async () => {
    await expect(planWith("{ set: err, layers: 9 }")).rejects.toThrow("sweep.yaml:10: truth.nodes[0].layers");
  });

  it("is refused where it is made of itself, whoever asks first", async () => {
    await expect(planOf("round", BASE + SETS)).rejects.toThrow("truth.nodes[0]: is made of itself");
  });

  it("is refused where scores might leave more nodes than a plan has slots for", () => {
    const shape = { nLayers: 26, nHeads: 8, dMlp: 9216 };
    const context = { shape, saes: [], prompts: [], paired: true, lengths: { longest: 7, areMixed: false } };
    const check = (nodes: string): void => {
      const text = `${BASE.replace("saes: { path: saes }\n", "")}truth: { nodes: [${nodes}] }\n`;
      const source = readSweep(REGISTER.experiments, { text, file: "sweep.yaml" });
      checkSets(source, must(nodeListOf(source.sweep), "truth"), context as unknown as PlanContext);
    };
    expect(() => {
      check("{ kind: neuron, at: -1, where: score > 0 }");
    }).toThrow(
      "truth.nodes[0]: may come to 239616 nodes, which is known only after the scores; at most 100000 are planned for",
    );
    check("{ kind: neuron, at: -1, where: score > 0, top: 50, per: all }");
    check("{ kind: neuron, at: -1, layers: 0..9, where: score > 0 }");
  });

  it("draws from another sample with both probabilities, and may be narrowed", async () => {
    expect((await planWith("{ set: drawn, layers: 1..2, sample: { n: 2 } }")).nodeSlots).toBe(4);
    expect((await planWith("{ set: drawn, layers: 1..2, where: score > 0, minus: err }")).nodeSlots).toBe(10);
  });
});
