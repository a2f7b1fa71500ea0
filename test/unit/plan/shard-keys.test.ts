import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { must } from "../../../src/base/assert.js";
import type { Environment } from "../../../src/base/environment.js";
import { REGISTER } from "../../../src/experiments/registry.js";
import { planSweep } from "../../../src/plan/make-plan.js";
import { shardKeys } from "../../../src/plan/shard-keys.js";

const TINY_A = resolve("test/fixtures/tiny-a");

const ENVIRONMENT: Environment = { code: "c", backend: "wasm", device: "d", threads: 1, dtype: "float32", tfjs: "4" };

const NAMED = "  - { name: named, ablate: { nodes: [blocks.2.hook_resid_post.hook_sae_error], positions: [-1] } }\n";
const GRID = "  - { name: grid, grid: { K: [1, 2] }, ablate: err, restore: { kind: feature, top: $K } }\n";
const SAMPLE = "  - { name: sample, ablation: zero, ablate: { kind: feature, sample: { n: 3 } } }\n";

const SWEEP = `name: first
model: { path: model }
saes: { path: saes }
dataset: { path: data/pairs-mixed-lengths.jsonl }
engine: { block_mib: 6 }
scores: [{ name: atp, method: atp }, { name: ig, method: ig, steps: 2 }]
truth: { positions: [-1], errors: {}, features: { top: 4, random: 4 }, heads: {} }
circuits: { thresholds: [0.001, 0.01] }
sets: { err: { kind: error, site: resid_post, at: -1 } }
experiments:
${NAMED}${GRID}${SAMPLE}`;

/** Keys by shard id, and by stage. */
async function keysOf(sweep: string, environment = ENVIRONMENT): Promise<Map<string, readonly string[]>> {
  const source = { text: sweep, file: "sweep.yaml", baseFolder: TINY_A };
  const { plan } = await planSweep(REGISTER.experiments, source, { backend: "wasm", autoThreads: 1 });
  const keys = new Map(shardKeys(REGISTER.experiments, plan, environment));
  return new Map(
    plan.stages.map(({ id, shards }) => [id, [...shards].map((shard) => must(keys.get(shard.id), shard.id))]),
  );
}

/** Stages of which at least one shard of `changed` is none of `before`, in order. */
async function computedAgain(changed: string): Promise<string[]> {
  const before = new Set([...(await keysOf(SWEEP)).values()].flat());
  return [...(await keysOf(changed))].flatMap(([stage, keys]) => (keys.some((key) => !before.has(key)) ? [stage] : []));
}

const replaced = (from: string, to: string): string => {
  expect(SWEEP).toContain(from);
  return SWEEP.replace(from, to);
};

describe("the keys of a sweep's shards", () => {
  it("are the shards' own: no two shards of the sweep have the same", async () => {
    const keys = [...(await keysOf(SWEEP)).values()].flat();
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys.length).toBeGreaterThan(50);
  });

  it.each([
    ["the name of the sweep", replaced("name: first", "name: second")],
    ["the name of a set", SWEEP.replaceAll("err", "errs").replace("errsor: ", "error: ").replaceAll("errsor", "error")],
    ["the name of an experiment", replaced("name: named", "name: other")],
    ["the order of experiments", replaced(NAMED + GRID, GRID + NAMED)],
    ["one experiment less", replaced(NAMED, "")],
    ["the scores' order", replaced("{ name: atp, method: atp }, { name: ig, method: ig, steps: 2 }", "{ name: ig, method: ig, steps: 2 }, { name: atp, method: atp }")], // prettier-ignore
    ["the name of scores that nothing goes by", replaced("name: ig", "name: other")],
    ["fewer thresholds' experiments", SWEEP.replace(/experiments:[^]*/, "")],
  ])("do not change with %s", async (_, changed) => {
    expect(await computedAgain(changed)).toEqual([]);
  });

  it.each([
    ["an experiment more", `${SWEEP}  - { name: more, ablate: { set: err, layers: 1 } }\n`, ["circuits"]],
    ["a score more", replaced("scores: [", "scores: [{ name: z, method: zero }, "), ["scores-z"]],
    ["a kind of the truth more", replaced("heads: {}", "heads: {}, whole_sites: {}"), ["truth-site", "floor-site"]],
    ["an option of a score", replaced("steps: 2", "steps: 3"), ["scores-ig"]],
    ["what is behind a name of scores", replaced("name: atp, method: atp", "name: atp, method: relp"), ["scores-atp", "truth-feature", "floor-feature", "circuits"]], // prettier-ignore
    ["how many features are chosen", replaced("top: 4", "top: 5"), ["truth-feature", "floor-feature"]],
    ["the definition of a set", replaced("err: { kind: error,", "err: { kind: error, layers: 1,"), ["circuits"]],
    ["a threshold", replaced("0.01]", "0.02]"), ["circuits"]],
    ["the seed", `${SWEEP}seed: 1\n`, ["truth-feature", "floor-feature", "circuits"]],
  ])("change with %s, where it is read", async (_, changed, stages) => {
    expect(await computedAgain(changed)).toEqual(stages);
  });

  it.each([
    [
      "what a set that the truth names is made of",
      "err: { kind: error, site: resid_post, at: -1",
      "err: { kind: error, site: mlp_out, at: -1",
      ["truth-error", "floor-error"],
    ],
    ["the scores of a set that the truth names", "by: atp, where", "by: ig, where", ["truth-head", "floor-head"]],
    ["another set", "other: { kind: error }", "other: { kind: feature }", []],
  ])("change with %s where the truth reads it", async (_, from, to, stages) => {
    const sweep = SWEEP.replace(
      "errors: {}, features: { top: 4, random: 4 }, heads: {} }",
      "nodes: [err, { kind: head, at: -1, by: atp, where: score > 0 }] }",
    )
      .replace("sets: { ", "sets: { other: { kind: error }, ")
      .replace(GRID, "")
      .replace(SAMPLE, "");
    expect(sweep).toContain(from);
    const before = new Set([...(await keysOf(sweep)).values()].flat());
    const after = [...(await keysOf(sweep.replace(from, to)))];
    expect(after.flatMap(([stage, keys]) => (keys.some((key) => !before.has(key)) ? [stage] : []))).toEqual(stages);
  });

  it.each(["zero", "mean"])("of all that the truth measures change with the donor %s", async (donor) => {
    const zero = SWEEP.replace("scores: [", "scores: [{ name: z, method: zero }, ");
    const again = await computedAgain(zero.replace("truth: {", `truth: { donor: ${donor},`));
    const measured = [...(await keysOf(SWEEP)).keys()].filter((stage) => /^(truth|floor)-/.test(stage));
    expect(measured.length).toBeGreaterThan(3);
    expect(again).toEqual(expect.arrayContaining(measured));
    // Means of whole sites are means of another stage.
    expect(again.includes("circuits")).toBe(donor === "mean");
  });

  it("change all with the metric", async () => {
    const changed = await keysOf(`${SWEEP}metric: { reduce: sum }\n`);
    expect(await computedAgain(`${SWEEP}metric: { reduce: sum }\n`)).toEqual(
      [...changed].flatMap(([stage, keys]) => (keys.length > 0 ? [stage] : [])),
    );
  });

  it.each([
    ["code", "other"],
    ["backend", "torch"],
    ["device", "other"],
    ["threads", 2],
    ["dtype", "bfloat16"],
    ["tfjs", "5"],
  ])("change all with the environment's %s", async (part, value) => {
    const before = new Set([...(await keysOf(SWEEP)).values()].flat());
    const after = [...(await keysOf(SWEEP, { ...ENVIRONMENT, [part]: value })).values()].flat();
    expect(after.filter((key) => before.has(key))).toEqual([]);
  });
});

it.each([
  [
    "do not change with another experiment",
    `${SWEEP}  - { name: more, ablate: { set: err, layers: 1 } }\n`,
    "joint: [err]",
    0,
  ],
  [
    "change with the nodes of their sets",
    SWEEP.replace("err: { kind: error,", "err: { kind: error, layers: 1,"),
    "joint: [err]",
    1,
  ],
  ["change with what their nodes are set to", SWEEP, "donor: mean, joint: [err]", 1],
])("the keys of joint patches %s", async (_, changed, truth, share) => {
  const joint = async (sweep: string, part: string): Promise<readonly string[]> => {
    const text = sweep.replace("truth: {", `truth: { ${part}, `);
    return must(
      (await keysOf(text.replace("scores: [", "scores: [{ name: z, method: zero }, "))).get("joint"),
      "joint",
    );
  };
  const [before, after] = [await joint(SWEEP, "joint: [err]"), await joint(changed, truth)];
  expect(before.filter((key) => !after.includes(key)).length / before.length).toBe(share);
});

it("the key of a resampled configuration changes with the seed, which draws the donors, and others' do not", async () => {
  const named = SWEEP.replace(/circuits:[^]*experiments:\n/, "experiments:\n")
    .replace(GRID + SAMPLE, "")
    .replace("-mixed-lengths", "");
  const sweep = `${named}  - { name: resampled, ablation: resample, ablate: { nodes: [blocks.1.hook_mlp_out.hook_sae_error] } }\n`;
  const [before, after] = [await keysOf(sweep), await keysOf(`${sweep}seed: 1\n`)].map((keys) => must(keys.get("circuits"), "circuits")); // prettier-ignore
  const changed = must(after, "after").filter((key) => before?.includes(key) !== true).length;
  // Of each block: the unablated run, two empty circuits and two configurations, of which two resample.
  expect(changed / must(after, "after").length).toBeCloseTo(2 / 5);
});

describe("with other prompts", () => {
  const shorter = replaced("lengths.jsonl }", "lengths.jsonl, limit: 9 }");

  it("blocks of the same prompts keep the keys of what reads nothing else", async () => {
    const before = await keysOf(SWEEP);
    const after = await keysOf(shorter);
    const kept = (stage: string): number =>
      must(after.get(stage), stage).filter((key) => must(before.get(stage), stage).includes(key)).length;
    for (const stage of ["means", "scores-atp", "truth-error", "truth-head"]) {
      expect(kept(stage), stage).toBeGreaterThan(0);
      expect(kept(stage), stage).toBeLessThan(must(after.get(stage), stage).length);
    }
    // These are chosen by the mean scores of all prompts, and circuits are ablated to their means.
    expect(kept("truth-feature")).toBe(0);
  });
});
