/**
 * @file What the keys of shards and the views of stages leave out decides no bits. Each sweep differs from another in one thing. Of all of
 * them, shards of equal keys have equal payloads, and stages of equal views have equal artifacts but for the hash of their plan.
 */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { sha256 } from "../../src/base/hash.js";
import { REGISTER } from "../../src/experiments/registry.js";
import { spliceModel, type SplicedModel } from "../../src/passes/spliced-model.js";
import type { Plan } from "../../src/plan/plan.js";
import { shardKeys } from "../../src/plan/shard-keys.js";
import { stageView } from "../../src/plan/stage-view.js";
import { hasArtifact, readArtifact } from "../../src/run/artifacts.js";
import { readRunFile, runPaths, writeRunFile } from "../../src/run/run-folder.js";
import { artifactStages } from "../../src/run/stage-artifacts.js";
import { openDirectoryLog } from "../../src/runlog/directory-log.js";
import { goldenSpliced, TINY_A } from "../numeric/golden.js";
import { runPipeline } from "../numeric/pipeline.js";
import { TEST_BACKEND } from "../numeric/test-backend.js";

/** What decides bits is the same for all backends, and the suite takes minutes. */
const NOT_ON_WASM = TEST_BACKEND !== "wasm";
const { experiments } = REGISTER;
const ENVIRONMENT = { code: "c", backend: "wasm", device: "d", threads: 1, dtype: "float32", tfjs: "4" };
const DATA = mkdtempSync(join(tmpdir(), "patchbay-reuse-"));

const HEAD = "name: base\nmodel: { path: model }\n";
const SCORES = "scores: [{ name: atp, method: atp }, { name: ig, method: ig, steps: 2 }, { name: z, method: zero }]\n";
const SAES = "saes: { path: saes, layers: [1, 2], sites: [resid_post, mlp_out] }\n";
const ROWS = "dataset: { path: data/pairs.jsonl, limit: 5 }\n";
const FIT = "fit: { path: data/pairs-mixed-lengths.jsonl, limit: 8, ridge: 0.1 }\n";
const TRUTH =
  "truth: { positions: [-1], errors: { layers: [1] }, features: { top: 2, random: 2 }, heads: { layers: [2] }, nodes: [{ kind: error_linear, at: -1 }], joint: [err] }\n";
const CIRCUITS = `circuits: { thresholds: [0.001, 0.01], variants: [all] }
sets:
  err: { kind: error, site: resid_post, at: -1 }
  feat: { kind: feature, site: resid_post, at: -1 }
experiments:
  - { name: named, ablate: { nodes: [blocks.2.hook_resid_post.hook_sae_error], positions: [-1] } }
  - { name: cut, ablation: zero, threshold: { keep: signed, value: 0.001 } }
  - { name: grid, grid: { K: [1, 2] }, ablate: err, restore: { set: feat, top: $K }, beside: sum(atp) }
  - { name: drawn, grid: { ablation: [zero, mean] }, ablate: { set: feat, sample: { n: 3 } }, contrast: { ablation: zero - mean } }
  - { name: kept, keep: { where: "abs >= 0.001", minus: err }, exempt: { layers: 1 }, complement: true }
  - { name: parts, ablate: { kind: error_linear, layers: 1 }, exempt: { kind: error_nonlinear, layers: 1 } }
  - { name: split, ablate: { nodes: [blocks.2.hook_resid_post.hook_sae_error_linear], positions: [-1] } }
  - { name: resampled, ablation: resample, ablate: { nodes: [blocks.1.hook_mlp_out.hook_sae_error] } }
`;
const ENGINE = "engine: { block_mib: 1 }\n";

const BASE = HEAD + SAES + ROWS + FIT + ENGINE + SCORES + TRUTH + CIRCUITS;
const MIXED = BASE.replace("pairs.jsonl, limit: 5", "pairs-mixed-lengths.jsonl, limit: 6")
  .replace("resample,", "zero,")
  .replace(", minus: err", "");
const MEANS = BASE.replace("truth: {", "truth: { donor: mean,");
const HELD_OUT = BASE.replace(
  ROWS,
  "dataset: { select: { path: data/pairs.jsonl, limit: 3 }, evaluate: { path: last.jsonl } }\n",
);
const ALONE = `${HEAD}${ROWS}${ENGINE}scores: [{ name: atp, method: atp }, { name: relp, method: relp }]
means: true
truth: { positions: [-1], whole_sites: { layers: [1] }, heads: { layers: [1] } }
circuits: { thresholds: [0.001], nodes: heads }
experiments: [{ name: top, ablate: { at: -1, top: 2 } }]
`;
/** Nothing but circuits, by scores that may be another run's. */
const LENT = (scores: string): string =>
  `${HEAD}${SAES}${ROWS}${ENGINE}scores: [${scores}]\n${CIRCUITS.replaceAll(/  - \{ name: (parts|split).*\n/g, "")}`;

/** Each sweep beside the one that it is changed from. */
const CHANGES: Readonly<Record<string, readonly (readonly [title: string, from: string, to: string])[]>> = {
  [BASE]: [
    ["another name", "name: base", "name: other"],
    ["another seed", "name: base", "name: base\nseed: 3"],
    ["another metric", "name: base", "name: base\nmetric: { reduce: sum }"],
    ["fewer rows", "limit: 5", "limit: 4"],
    ["more rows", "limit: 5", "limit: 7"],
    ["larger blocks", "block_mib: 1", "block_mib: 2"],
    ["rows in another order", "data/pairs.jsonl, limit: 5", "reversed.jsonl"],
    ["clusters", "data/pairs.jsonl, limit: 5", "clusters.jsonl"],
    ["other cases", "data/pairs.jsonl, limit: 5", "cases.jsonl"],
    ["rows of which some are dropped", "data/pairs.jsonl, limit: 5", "dropped.jsonl"],
    ["a row twice", "data/pairs.jsonl, limit: 5", "twice.jsonl"],
    ["other answers", "data/pairs.jsonl, limit: 5", "answers.jsonl"],
    ["a chat", "limit: 5", "limit: 5, chat: true"],
    ["more SAEs", "saes, layers: [1, 2]", "saes, layers: [0, 1, 2]"],
    ["another ridge", "ridge: 0.1", "ridge: 0.5"],
    ["other rows of the fit", "limit: 8, ridge", "limit: 9, ridge"],
    ["no fit", `${FIT}|, nodes: \\[\\{ kind: error_linear, at: -1 \\}\\]|  - \\{ name: (parts|split).*\\n`, ""],
    [
      "scores whose names are exchanged",
      "name: atp, method: atp }, { name: ig, method: ig, steps: 2",
      "name: ig, method: atp }, { name: atp, method: ig, steps: 2",
    ],
    ["other scores of the same name", "name: atp, method: atp", "name: atp, method: relp"],
    [
      "scores in another order",
      "{ name: atp, method: atp }, { name: ig, method: ig, steps: 2 }",
      "{ name: ig, method: ig, steps: 2 }, { name: atp, method: atp }",
    ],
    ["an option of scores", "steps: 2", "steps: 3"],
    ["neurons in scores", "name: ig, method: ig", "name: ig, neurons: true, method: ig"],
    ["truth of zero", "truth: {", "truth: { donor: zero,"],
    ["truth at another position", "truth: { positions: [-1]", "truth: { positions: [-2]"],
    ["truth at more positions", "truth: { positions: [-1]", "truth: { positions: [2, -1, global]"],
    ["truth of other errors", "errors: { layers: [1] }", "errors: { layers: [2] }"],
    ["truth of more errors", "errors: { layers: [1] }", "errors: {}"],
    ["truth of other heads", "heads: { layers: [2] }", "heads: { layers: [1] }"],
    ["truth without errors", "errors: { layers: [1] }, ", ""],
    ["truth of whole sites too", "truth: {", "truth: { whole_sites: { layers: [1] },"],
    ["truth of the strongest by other scores", "top: 2, random: 2", "top: 2, random: 2, by: ig"],
    ["truth of more of the strongest", "top: 2, random: 2", "top: 3, random: 2"],
    ["truth of more drawn features", "top: 2, random: 2", "top: 2, random: 3"],
    [
      "truth of listed features",
      "features: { top: 2, random: 2 }",
      "features: [{ hook: blocks.2.hook_resid_post.hook_sae_acts_post, feature: 58 }]",
    ],
    ["truth of a set of features", "nodes: [", "nodes: [{ kind: feature, at: -1, layers: 1, site: resid_post }, "],
    [
      "truth of a draw of features",
      "nodes: [",
      "nodes: [{ kind: feature, at: -2, top: 1, sample: { n: 2, seed: 5 } }, ",
    ],
    ["truth of another joint set", "joint: [err]", "joint: [feat]"],
    ["truth of two joint sets", "joint: [err]", "joint: [feat, err]"],
    ["no truth", TRUTH, ""],
    [
      "a set of other nodes",
      "err: { kind: error, site: resid_post, at: -1 }",
      "err: { kind: error, site: mlp_out, at: -1 }",
    ],
    [
      "a set of other positions",
      "feat: { kind: feature, site: resid_post, at: -1 }",
      "feat: { kind: feature, site: resid_post, at: 2 }",
    ],
    ["other thresholds", "thresholds: [0.001, 0.01]", "thresholds: [0.001, 0.02]"],
    ["one threshold more", "thresholds: [0.001, 0.01]", "thresholds: [0.001, 0.01, 0.1]"],
    ["circuits by other scores", "thresholds: [0.001", "scores: ig, thresholds: [0.001"],
    ["circuits of signed scores", "thresholds: [0.001", "keep: signed, thresholds: [0.001"],
    ["circuits of other variants", "variants: [all]", "variants: [no_resid_errors]"],
    ["circuits that exempt early layers", "thresholds: [0.001", "exempt_early_layers: true, thresholds: [0.001"],
    ["circuits with zeros", "thresholds: [0.001", "ablation: zero, thresholds: [0.001"],
    ["circuits without complements", "thresholds: [0.001", "completeness: false, thresholds: [0.001"],
    ["no circuits", "circuits: \\{ thresholds.*\\n", ""],
    ["experiments of other names", "name: grid, grid: { K", "name: other, grid: { K"],
    ["one experiment less", "  - { name: named.*\n", ""],
    ["another ablation", "{ name: named, ablate", "{ name: named, ablation: zero, ablate"],
    [
      "a restored node",
      "positions: [-1] } }\n  - { name: cut",
      "positions: [-1] }, restore: { nodes: [blocks.2.hook_resid_post.hook_sae_acts_post] } }\n  - { name: cut",
    ],
    ["another threshold of a configuration", "value: 0.001", "value: 0.01"],
    ["other values of an axis", "K: [1, 2]", "K: [2, 3]"],
    ["other values of an axis that count as many", "K: [1, 2]", "K: [1, 3]"],
    ["other scores beside", "sum(atp)", "sum(ig)"],
    ["another size of a draw", "sample: { n: 3 }", "sample: { n: 4 }"],
    ["another seed of a draw", "sample: { n: 3 }", "sample: { n: 3, seed: 9 }"],
    ["another seed of an experiment", "name: drawn,", "name: drawn, seed: 9,"],
    ["a draw by other scores", "name: drawn,", "name: drawn, by: ig,"],
    ["the other contrast", "zero - mean", "mean - zero"],
    ["another exempt set", "exempt: { layers: 1 }, complement", "exempt: { layers: 2 }, complement"],
    ["nothing taken away", ", minus: err", ""],
    ["no complement", ", complement: true", ""],
    ["other parts", "ablate: { kind: error_linear, layers: 1 }", "ablate: { kind: error_linear, layers: 2 }"],
    ["a figure", "name: grid, grid: { K: [1, 2] },", "name: grid, grid: { K: [1, 2] }, figure: { kind: lines },"],
  ],
  [MIXED]: [
    ["fewer rows of several lengths", "limit: 6", "limit: 5"],
    ["the truth by other scores, at the end of prompts", "top: 2, random: 2", "top: 2, random: 2, by: ig"],
    [
      "a set at another position from the end",
      "feat: { kind: feature, site: resid_post, at: -1 }",
      "feat: { kind: feature, site: resid_post, at: -2 }",
    ],
    ["another seed, with prompts of several lengths", "name: base", "name: base\nseed: 3"],
  ],
  [MEANS]: [
    ["means of more rows", "limit: 5", "limit: 7"],
    ["other joint sets of means", "joint: [err]", "joint: [feat]"],
  ],
  [HELD_OUT]: [
    ["more rows that choose", "limit: 3", "limit: 4"],
    ["other rows that are evaluated", "last.jsonl", "end.jsonl"],
    [
      "rows that exchange their roles",
      "select: { path: data/pairs.jsonl, limit: 3 }, evaluate: { path: last.jsonl }",
      "select: { path: last.jsonl }, evaluate: { path: data/pairs.jsonl, limit: 3 }",
    ],
  ],
  [ALONE]: [
    ["circuits of whole sites", "nodes: heads", "nodes: sites"],
    ["no circuits, and sets of whole sites", "circuits: .*\n", ""],
    [
      "circuits of neurons",
      "circuits: { thresholds: [0.001], nodes: heads }",
      "circuits: { thresholds: [0.001], nodes: neurons }",
    ],
    ["truth of means of whole sites", "truth: {", "truth: { donor: mean,"],
  ],
};

/** What was made first under a name, and in which sweep. */
const made = new Map<string, { readonly hash: string; readonly sweep: string }>();

/** How often something was made again. */
let shared = 0;

interface Compared {
  readonly folder: string;
  /** What is other than what was made under its name before. */
  readonly others: readonly string[];
}

let model: SplicedModel;

/** The model with a sweep's SAEs. */
function modelFor(sweep: string): SplicedModel {
  const [, layers = "[]"] = /saes: \{ path: saes, layers: (\[.*?\])/.exec(sweep) ?? [];
  const named = new Set(JSON.parse(layers) as number[]);
  return spliceModel(
    model.model,
    model.saes.filter(({ site, layer }) => site !== "attn_z" && named.has(layer)),
  );
}

beforeAll(async () => {
  model = await goldenSpliced();
  const rows = readFileSync(resolve(TINY_A, "data/pairs.jsonl"), "utf8").trimEnd().split("\n").slice(0, 5);
  const all = readFileSync(resolve(TINY_A, "data/pairs.jsonl"), "utf8").trimEnd().split("\n");
  const write = (name: string, lines: readonly string[]): void => {
    writeFileSync(join(DATA, name), `${lines.join("\n")}\n`);
  };
  const withFields = (fields: (row: Record<string, unknown>, i: number) => object): string[] =>
    rows.map((row, i) => {
      const parsed = JSON.parse(row) as Record<string, unknown>;
      return JSON.stringify({ ...parsed, ...fields(parsed, i) });
    });
  write("reversed.jsonl", rows.toReversed());
  write(
    "clusters.jsonl",
    withFields((_, i) => ({ cluster: `c${String(i % 2)}` })),
  );
  write(
    "cases.jsonl",
    withFields(() => ({ case: "other" })),
  );
  write("dropped.jsonl", [
    JSON.stringify({ ...(JSON.parse(must(rows[0], "row")) as object), clean_prefix: "The" }),
    ...rows,
  ]);
  write("twice.jsonl", [...rows.slice(0, 4), must(rows[0], "row")]);
  write(
    "answers.jsonl",
    withFields((row) => ({ clean_answer: row["patch_answer"], patch_answer: row["clean_answer"] })),
  );
  write("last.jsonl", all.slice(-4));
  write("end.jsonl", all.slice(-3));
});
afterAll(() => {
  model.dispose();
});

/** Runs a sweep, and compares what it makes with what other sweeps made under the same keys and views. */
async function compared(title: string, sweep: string): Promise<Compared> {
  const text = sweep.replaceAll(/path: (\w+\.jsonl)/g, `path: ${DATA}/$1`);
  const { folder, planned } = await runPipeline(text, TINY_A, modelFor(sweep));
  const { plan, planHash } = planned;
  const others: string[] = [];
  const note = (name: string, hash: string, what: string): void => {
    const before = made.get(name);
    if (before === undefined) made.set(name, { hash, sweep: title });
    else if (before.hash !== hash) others.push(`${what} is other than in ${before.sweep}`);
    else shared += 1;
  };
  const keys = new Map(shardKeys(experiments, plan, ENVIRONMENT));
  const log = await openDirectoryLog(runPaths(folder).log);
  for (const { shard, sha256: hash } of await log.list()) note(must(keys.get(shard), shard), hash, shard);
  for (const { view, name } of viewsOf(plan)) {
    const bytes = hasArtifact(folder, name) ? Buffer.from(await readArtifact(folder, name)) : Buffer.from("none");
    note(`${view} ${name}`, sha256(bytes.toString("latin1").replaceAll(planHash, "")), name);
  }
  return { others, folder };
}

function viewsOf(plan: Plan): { readonly view: string; readonly name: string }[] {
  return [...artifactStages(experiments, plan)].map(([name, stage]) => ({
    name,
    view: `${stage} ${stageView(experiments, plan, stage)}`,
  }));
}

describe.skipIf(NOT_ON_WASM).each(Object.entries(CHANGES))("of a sweep and its changes", (base, changes) => {
  it("shards and artifacts of equal keys and views are equal: the sweep itself", async () => {
    expect((await compared("the sweep itself", base)).others).toEqual([]);
  });

  it.each(changes)("shards and artifacts of equal keys and views are equal: %s", async (title, from, to) => {
    const sweep = base.includes(from) ? base.replace(from, to) : base.replaceAll(new RegExp(from, "g"), to);
    expect(sweep).not.toBe(base);
    const { others } = await compared(title, sweep);
    expect(others).toEqual([]);
  });
});

it.skipIf(NOT_ON_WASM)(
  "shards and artifacts of equal keys and views are equal: scores of several runs under one name",
  async () => {
    const lend = async (title: string, sweep: string): Promise<string> => {
      const { folder, others } = await compared(title, sweep);
      expect(others).toEqual([]);
      writeRunFile(folder, { ...readRunFile(folder), status: "complete" });
      return folder;
    };
    const own = LENT("{ name: atp, method: atp }");
    const lenders = [
      await lend("a lender", own),
      await lend("a lender of fewer rows", own.replace("limit: 5", "limit: 4")),
      await lend("a lender of other scores", own.replace("method: atp", "method: relp")),
    ];
    for (const folder of lenders) {
      const { others } = await compared(`scores of ${folder}`, LENT(`{ name: atp, from: "${folder}" }`));
      expect(others).toEqual([]);
    }
  },
);

it.skipIf(NOT_ON_WASM)("there is much that sweeps share", () => {
  expect(shared).toBeGreaterThan(1000);
});
