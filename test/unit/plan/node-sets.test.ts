/** @file Sets of nodes: what they come to, what they need, and which are refused. */
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { PatchbayError } from "../../../src/base/errors.js";
import { REGISTER } from "../../../src/experiments/registry.js";
import { readModelConfig } from "../../../src/families/read-config.js";
import { nodeKey } from "../../../src/nodes/node.js";
import { blocksFor } from "../../../src/plan/blocks.js";
import { planSweep } from "../../../src/plan/make-plan.js";
import { layersOfSet, nodeSetField } from "../../../src/plan/node-sets.js";
import { nodeListOf } from "../../../src/plan/node-list.js";
import { slotGroups } from "../../../src/plan/node-slots.js";
import type { Plan } from "../../../src/plan/plan.js";
import { lengthsOf } from "../../../src/plan/prompt-lengths.js";

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
  return slotGroups({ truth: nodeListOf(sweep) ?? { positions: [] }, shape, saes, lengths: lengthsOf(prompts) });
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
    expect(layersOfSet(nodeSetField.parse({ kind: "error", layers: given }), 4)).toEqual(expected);
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

  it.each(["where: score > 1", "per: site", "neurons: [3]", "set: late"])(
    "says that a field is not built yet: %s",
    async (field) => {
      const name = field.split(":", 1)[0] ?? "";
      await expect(planOf(`{ kind: neuron, ${field} }`)).rejects.toMatchObject({
        code: "not_built",
        message: `sweep.yaml:6: truth.nodes[0].${name}: \`${name}\` is not built yet`,
      });
    },
  );

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
