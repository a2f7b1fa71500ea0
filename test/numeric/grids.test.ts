/** @file Configurations on sets of nodes, against an independent reference, the short forms, and themselves written out. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { readParquet, type ParquetRow } from "../../src/artifacts/parquet.js";
import { FIXED_COLUMNS } from "../../src/experiments/circuits/point-rows.js";
import { runPaths } from "../../src/run/run-folder.js";
import type { SplicedModel } from "../../src/passes/spliced-model.js";
import { goldenArrays, goldenJson, goldenSpliced, TINY_A } from "./golden.js";
import { runPipeline } from "./pipeline.js";
import { expectSameInAnyBlock } from "./test-backend.js";

const RULES = ["closest", "committee", "closest_signed", "committee_by_sign"] as const;
const matched = (how: string): string => `${how}: { set: feat, match: { to: err, how: ${how} } }`;
const RESTORED = "blocks.1.hook_resid_post.hook_sae_acts_post";
const ERRORS = [0, 1, 2].map((layer) => `blocks.${String(layer)}.hook_resid_post.hook_sae_error`);

const SWEEP = `name: grids
model: { path: model }
saes: { path: saes }
dataset: { path: data/pairs.jsonl }
scores: [{ name: atp, method: atp }]
sets:
  err: { kind: error, site: resid_post, at: -1 }
  feat: { kind: feature, site: resid_post, at: -1 }
circuits: { thresholds: [0.001, 0.01], keep: signed, exempt_early_layers: true }
experiments:
  - name: restore-top-k
    grid: { K: [1, 3, 10], R: { spans: 1..2, fixed: left } }
    ablate: { set: err, layers: 0..2 }
    restore: { set: feat, layers: $R, top: $K }
  - name: windows
    grid:
      W: { windows: 0..3, width: 2 }
      what: { errors: err, top3: { set: feat, top: 3 }, ${RULES.map(matched).join(", ")} }
      ablation: [mean, zero]
    ablate: { set: $what, layers: $W }
    beside: sum(atp)
    contrast: { ablation: zero - mean, what: top3 - errors }
  - { name: expanding-right, grid: { W: { spans: 0..3, fixed: right } }, ablate: { set: err, layers: $W } }
  - { name: expanding-left, grid: { W: [{ spans: 0..3, fixed: left }, { spans: 0..3, fixed: right }] }, ablate: { set: err, layers: $W } }
  - name: matched
    grid: { S: [attn_z, mlp_out, resid_post], P: 2..5, what: [closest, committee] }
    ablate:
      kind: feature
      site: $S
      at: $P
      layers: 0..2
      match: { to: { kind: error, site: $S, at: $P, layers: 0..2 }, how: $what }
    beside: sum(atp)
  - name: kept
    grid:
      t: [0.001, 0.01]
      without: { all: [], no_resid_errors: { kind: error, site: resid_post }, no_mlp_attn_errors: { kind: error, site: [mlp_out, attn_z] } }
    keep: { where: "score >= $t", minus: $without }
    exempt: { layers: 0 }
    complement: true
  - name: written-out
    ablate: { nodes: [${ERRORS.join(", ")}], positions: [-1] }
    restore: { features: { ${RESTORED}: [89, 7, 33] }, positions: [-1] }
  - { name: idle, ablate: { nodes: [] } }
`;

interface GoldenPoint {
  readonly experiment: string;
  readonly axes: Readonly<Record<string, number | string>>;
  readonly [field: string]: unknown;
}

let model: SplicedModel;
let circuits: ParquetRow[];
let prompts: ParquetRow[];
let sets: ParquetRow[];
let contrasts: ParquetRow[];
let shards: number;
let warnings: string[];
let reads: string[];
let blocks: number;

beforeAll(async () => {
  model = await goldenSpliced();
  const { folder, planned, ...run } = await runPipeline(SWEEP, TINY_A, model);
  ({ warnings, reads } = run);
  const read = async (name: string): Promise<ParquetRow[]> => (await readParquet(runPaths(folder).artifact(name))).rows;
  [circuits, prompts, sets, contrasts] = [
    await read("circuits.parquet"),
    await read("circuits-prompts.parquet"),
    await read("sets.parquet"),
    await read("contrasts.parquet"),
  ];
  blocks = planned.plan.stages.filter(({ id }) => id === "circuits").flatMap(({ shards: own }) => [...own]).length;
  shards = planned.plan.stages.flatMap(({ shards: own }) => [...own]).length;
});
afterAll(() => {
  model.dispose();
});

const AXES = ["K", "R", "W", "what", "ablation", "S", "P", "t", "without"];

/** The row of a point, by its experiment and axes. */
function rowOf(experiment: string, axes: Readonly<Record<string, number | string>>): ParquetRow {
  const own = circuits.filter(
    (row) => row["experiment"] === experiment && Object.entries(axes).every(([axis, value]) => row[axis] === value),
  );
  expect(own, `${experiment} ${JSON.stringify(axes)}`).toHaveLength(1);
  return must(own[0], experiment);
}

const metrics = (circuit: unknown, column = "metric_circuit"): number[] =>
  prompts.filter((row) => row["circuit"] === circuit).map((row) => Number(row[column]));

it("what circuits read is read once for all blocks of prompts", () => {
  const own = reads.filter((read) => read.startsWith("circuits "));
  expect(blocks).toBeGreaterThan(1);
  expect(own.sort()).toEqual([
    "circuits means.safetensors",
    "circuits scores-atp.safetensors",
    "circuits sets.parquet",
  ]);
});

describe("the tables of a grid", () => {
  it("have no column that an axis could be called like", () => {
    const columns = [...Object.keys(must(circuits[0], "row")), ...Object.keys(must(prompts[0], "row"))];
    const fixed = columns.filter((name) => !AXES.includes(name));
    expect(fixed.filter((name) => !FIXED_COLUMNS.has(name))).toEqual([]);
    expect([...FIXED_COLUMNS].filter((name) => !fixed.includes(name))).toEqual([]);
  });
});

it("a configuration that ablates nothing is the unablated run, and a warning says so", () => {
  expectSameInAnyBlock(metrics("idle"), metrics("idle", "metric_full"));
  expect(warnings).toContain("experiments: idle ablates nothing: it is the unablated run");
});

describe("a grid of configurations", () => {
  const golden = goldenJson("extra/grids") as { grids: GoldenPoint[]; alternatives: GoldenPoint[] };

  it("has the metrics of the reference at every point", async () => {
    const expected = (await goldenArrays("extra/grids")).get("metric_circuit");
    const width = expected.length / golden.grids.length;
    golden.grids.forEach(({ experiment, axes }, i) => {
      const row = rowOf(experiment, axes);
      const own = expected.slice(i * width, (i + 1) * width);
      expect(metrics(row["circuit"]), String(row["circuit"])).toBeAllclose(own, { rtol: 0, atol: 1e-4 });
    });
  });

  it("names and counts the nodes of the reference, under every rule of matching", () => {
    for (const point of [...golden.grids, ...golden.alternatives]) {
      const row = rowOf(point.experiment, point.axes);
      for (const count of ["n_features", "n_errors_resid", "n_errors_other", "nodes_ablated", "nodes_restored"])
        expect(row[count], `${count} of ${String(row["circuit"])}`).toBe(point[count]);
      expect(row["metric_circuit"], String(row["circuit"])).toBeCloseTo(Number(point["metric_circuit"]), 4);
      expect(row["faithfulness"], String(row["circuit"])).toBeCloseTo(Number(point["faithfulness"]), 4);
    }
  });

  it("adds up the scores of what is ablated, where that is asked for", () => {
    const asked = [...golden.grids, ...golden.alternatives].filter(({ experiment }) =>
      /windows|matched/.test(experiment),
    );
    expect(asked.length).toBeGreaterThan(40);
    for (const { experiment, axes, sum_atp } of asked)
      expect(rowOf(experiment, axes)["beside"], JSON.stringify(axes)).toBeCloseTo(Number(sum_atp), 4);
    expect(rowOf("restore-top-k", { K: 1, R: "1-1" })["beside"]).toBeNaN();
  });

  it("takes one value of an axis from another, point by point, with an interval", () => {
    const byCircuit = new Map(circuits.map((row) => [row["circuit"], row]));
    // 3 windows of 6 sets, and of 2 ablations.
    expect(contrasts.map((row) => row["contrast"])).toEqual([
      ...Array<string>(18).fill("ablation: zero - mean"),
      ...Array<string>(6).fill("what: top3 - errors"),
    ]);
    for (const row of contrasts) {
      const [first, second] = [
        must(byCircuit.get(row["first"]), "first"),
        must(byCircuit.get(row["second"]), "second"),
      ];
      expect([first["W"], second["W"]]).toEqual([row["W"], row["W"]]);
      const difference = Number(first["faithfulness"]) - Number(second["faithfulness"]);
      expect(row["difference"]).toBeCloseTo(difference, 12);
      expect(Number(row["difference_low"])).toBeLessThanOrEqual(difference);
      expect(Number(row["difference_high"])).toBeGreaterThanOrEqual(difference);
    }
  });

  it("lists the features that the reference chooses, each set once", () => {
    const byPoint = new Map<string, ParquetRow[]>();
    for (const row of sets) byPoint.set(String(row["point"]), [...(byPoint.get(String(row["point"])) ?? []), row]);
    let compared = 0;
    for (const { experiment, axes, ablate } of golden.grids) {
      if (experiment !== "matched") continue;
      const rows = byPoint.get(String(rowOf(experiment, axes)["circuit"])) ?? [];
      for (const [hook, features] of Object.entries(ablate as Record<string, number[]>)) {
        const listed = rows.filter((row) => row["hook"] === hook).map((row) => Number(row["index"]));
        expect(listed, `${experiment} ${hook}`).toEqual(features.toSorted((a, b) => a - b));
        compared += 1;
      }
    }
    expect(compared).toBeGreaterThan(50);
    const lists = new Map(sets.map((row) => [row["list"], `${String(row["set"])} ${String(row["point"])}`]));
    expect(new Set(lists.values()).size).toBe(lists.size);
  });

  it("is bit by bit the same as the configuration written out by hooks", () => {
    const row = rowOf("restore-top-k", { K: 3, R: "1-1" });
    expectSameInAnyBlock(metrics(row["circuit"]), metrics("written-out"));
    const out = must(
      circuits.find(({ circuit }) => circuit === "written-out"),
      "written-out",
    );
    for (const column of [
      "n_features",
      "nodes_ablated",
      "nodes_restored",
      "nodes_named_by_both",
      "not_ablated_n_features",
    ])
      expect(row[column], column).toBe(out[column]);
  });

  it("is bit by bit the same as the short form of circuits, complement and exemption included", () => {
    for (const variant of ["all", "no_resid_errors", "no_mlp_attn_errors"])
      for (const [i, t] of [0.001, 0.01].entries()) {
        const short = must(
          circuits.find(({ circuit }) => circuit === `${variant}-0${String(i)}`),
          variant,
        );
        const row = rowOf("kept", { t, without: variant });
        for (const column of ["metric_circuit", "metric_complement", "metric_empty"])
          expectSameInAnyBlock(metrics(row["circuit"], column), metrics(short["circuit"], column));
        expectSameInAnyBlock([Number(row["faithfulness"])], [Number(short["faithfulness"])]);
        for (const column of Object.keys(short).filter((name) => /^(not_ablated_)?n_|^nodes_/.test(name)))
          expect(row[column], `${column} of ${String(row["circuit"])}`).toBe(short[column]);
      }
  });

  it("has a column for each axis, of numbers where its values are, and computes equal points once", () => {
    const left = circuits.filter(({ experiment }) => experiment === "expanding-left").map((row) => row["W"]);
    expect(left).toEqual(["0-0", "0-1", "0-2", "0-3", "1-3", "2-3", "3-3"]);
    expect(typeof must(circuits[0], "row")["K"]).toBe("number");
    expect(Object.keys(must(circuits[0], "row"))).toEqual(expect.arrayContaining(AXES));
    expect(Object.keys(must(prompts[0], "row"))).toEqual(
      expect.arrayContaining(AXES.filter((axis) => axis !== "ablation")),
    );
    expect(rowOf("expanding-left", { W: "1-3" })["metric_circuit"]).toBe(
      rowOf("expanding-right", { W: "1-3" })["metric_circuit"],
    );
    expect(shards).toBeGreaterThan(0);
  });
});
