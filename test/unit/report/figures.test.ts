/** @file Figures and tables of contents that the synthetic run does not have: very many nodes, other kinds, custom configurations. */
import { describe, expect, test } from "vitest";
import { circuitFigures } from "../../../src/experiments/circuits/report/circuit-figure.js";
import {
  compositionCsv,
  compositionTable,
  experimentTable,
} from "../../../src/experiments/circuits/report/circuit-tables.js";
import { circuitAnswer } from "../../../src/experiments/circuits/report/headline.js";
import type { CircuitContents } from "../../../src/experiments/circuits/report/contents.js";
import type { ScoresContents } from "../../../src/experiments/scores/report/contents.js";
import type { TruthContents } from "../../../src/experiments/truth/report/contents.js";
import { METHODS } from "../../../src/methods/registry.js";

import type { Group } from "../../../src/experiments/truth/report/validation-file.js";
import { undefinedNotes } from "../../../src/experiments/circuits/report/undefined-ratios.js";
import { GLOBAL_POSITION, hookOf, type Node } from "../../../src/nodes/node.js";
import { must } from "../../../src/base/assert.js";
import { shownNodes, shownNote } from "../../../src/experiments/truth/report/shown-nodes.js";
import { truthMapFigures } from "../../../src/experiments/truth/report/truth-map.js";
import { truthFigures } from "../../../src/experiments/truth/report/truth-figures.js";
import { thresholdCircuits, type CircuitRow } from "../../../src/experiments/circuits/report/circuit-row.js";
import type { NodeRow } from "../../../src/experiments/truth/report/node-row.js";

type AllContents = CircuitContents & ScoresContents & TruthContents;

const featureNode = (feature: number): Node => ({ kind: "feature", site: "mlp_out", layer: 0, position: 1, feature });

/** Contents with the parts that a test gives; whatever else is read fails loudly. */
function contentsOf(parts: Partial<AllContents>): AllContents {
  const plan = { sweep: { scores: [{ name: "atp", method: "atp" }] }, shape: { nLayers: 3 } };
  return {
    plan,
    methods: METHODS,
    groups: [],
    nodes: [],
    reliability: [],
    circuits: [],
    clusters: 30,
    ...parts,
  } as unknown as AllContents;
}

const node = (i: number, at: Node = featureNode(i)): NodeRow => ({
  ...at,
  hook: hookOf(at),
  n: 10,
  effect: (i + 1) / 1000,
  effectSem: 0.001,
  normalised: 0,
  stratum: "top",
  inclusionProbability: 1,
  scores: new Map([["atp", { mean: (i + 1) / 900, sem: 0.001 }]]),
});

const atOnce = (low: number, high: number): CircuitRow["simultaneous"] => ({
  faithfulnessLow: low,
  faithfulnessHigh: high,
  completenessLow: Number.NaN,
  completenessHigh: Number.NaN,
});

/** The headline's sentences on circuits. */
const saidOf = (circuits: CircuitRow[], clusters = 30): string =>
  circuitAnswer({ circuits, clusters })
    .map(({ text }) => text)
    .join(" ");

const circuit = (change: Partial<CircuitRow>): CircuitRow => ({
  circuit: "all-00",
  experiment: "circuits",
  variant: "all",
  threshold: 0.1,
  ablation: "mean",
  keep: "absolute",
  neurons: 0,
  exemptEarlyLayers: false,
  features: 8,
  errorsResid: 1,
  errorsOther: 1,
  sites: 0,
  heads: 0,
  nodesAblated: 0,
  nodesRestored: 0,
  beside: Number.NaN,
  metricCircuit: 1,
  metricFull: 2,
  undefinedBecause: "",
  denominator: 2,
  denominatorLow: 1.5,
  denominatorHigh: 2.5,
  faithfulness: 0.5,
  faithfulnessLow: 0.4,
  faithfulnessHigh: 0.6,
  faithfulnessMean: 0.45,
  completeness: Number.NaN,
  completenessLow: Number.NaN,
  completenessHigh: Number.NaN,
  simultaneous: atOnce(Number.NaN, Number.NaN),
  clusters: Number.NaN,
  ...change,
});

describe("truth figures", () => {
  const drawnPoints = (svg = ""): number =>
    (svg.match(/<circle /g)?.length ?? 0) + (svg.match(/M[-\d.]+ [-\d.]+h0/g)?.length ?? 0);

  test("draw every node of thousands, and name the strongest where they are pointed at", () => {
    const nodes = Array.from({ length: 5000 }, (_, i) => node(i));
    const [figure] = truthFigures(contentsOf({ nodes }));
    expect(drawnPoints(figure?.panels[0]?.svg)).toBe(5000);
    expect(figure?.panels[0]?.notes).toEqual([]);
    expect(figure?.panels[0]?.svg).toContain("feature 4999");
  });

  test("draw the largest nodes and a sample of the rest where there are too many, and say so", () => {
    const nodes = Array.from({ length: 12_000 }, (_, i) => node(i));
    const contents = contentsOf({ nodes });
    const [figure] = truthFigures(contents);
    expect(drawnPoints(figure?.panels[0]?.svg)).toBe(10_000);
    expect(figure?.panels[0]?.notes).toContain("10\u202f000 of the points are drawn");
    expect(figure?.table.rows).toHaveLength(12_000);
    const shown = shownNodes(contents);
    expect(shown.slice(0, 5000)).toEqual(nodes.slice(7000).reverse());
    expect(shownNodes(contents)).toEqual(shown);
    expect(shownNote(shown.length, nodes.length)).toContain("10\u202f000 of the 12\u202f000 measured nodes");
    expect(shownNote(5, 5)).toBeNull();
  });

  test("spread a crowd below one outlier on symlog axes, and say so", () => {
    const crowd = Array.from({ length: 40 }, (_, i) => ({ ...node(i), effect: 0.001 * (i + 1) }));
    const contents = contentsOf({ nodes: [...crowd, { ...node(99), effect: 3 }] });
    const [figure] = truthFigures(contents);
    expect(figure?.caption).toContain("symlog");
    const heights = [...(figure?.panels[0]?.svg ?? "").matchAll(/cy="([\d.]+)"/g)].map(([, y]) => Number(y));
    expect(new Set(heights.map((y) => Math.round(y / 4))).size).toBeGreaterThan(12);
    expect(truthFigures(contentsOf({ nodes: crowd }))[0]?.caption).not.toContain("symlog");
  });

  test("keep nodes at all positions at once apart, and name heads and whole sites", () => {
    const nodes = [
      node(0, { kind: "head", site: "attn_z", layer: 0, position: 1, head: 2 }),
      node(1, { kind: "head", site: "attn_z", layer: 0, position: 1, head: 1 }),
      node(2, { kind: "site", site: "mlp_out", layer: 0, position: GLOBAL_POSITION }),
      node(3, { kind: "site", site: "mlp_out", layer: 0, position: GLOBAL_POSITION }),
    ];
    const figures = truthFigures(contentsOf({ nodes }));
    expect(figures.map(({ id }) => id)).toEqual(["truth-atp", "truth-atp-global"]);
    expect(figures.map(({ panels }) => panels.map(({ title }) => title))).toEqual([
      ["Attention heads, attn_z"],
      ["Whole sites, mlp_out"],
    ]);
    expect(figures[0]?.panels[0]?.svg).toContain("head 2");
    expect(figures[1]?.panels[0]?.svg).toContain("position all at once");
  });

  test("are the same in the second drawing", () => {
    const nodes = Array.from({ length: 10 }, (_, i) => node(i));
    const group = { score: "atp", kind: "feature", site: "mlp_out", position: null, global: false, n: 10 };
    const interval = { value: 0.9, low: 0.8, high: 1 };
    const weighted = { pearson: interval, slope: interval, intercept: interval };
    const groups = [{ ...group, frame_size: 10, weighted } as unknown as Group];
    const draw = (): string | undefined => truthFigures(contentsOf({ nodes, groups }))[0]?.panels[0]?.svg;
    expect(draw()).toBe(draw());
    expect(draw()).toMatch(/clip-path="url\(#clip-[0-9a-f]{10}-0\)"/);
  });
});

describe("maps of effects", () => {
  test("stand beside those of the score and their difference, and add up features of one place", () => {
    const nodes = [node(0), node(1), node(2, { kind: "error", site: "mlp_out", layer: 2, position: 3 })];
    const [errors, features] = truthMapFigures(contentsOf({ nodes }));
    expect(errors?.id).toBe("maps-error-atp");
    expect(errors?.caption).not.toContain("adds up");
    expect(features?.panels.map(({ title }) => title)).toEqual([
      "mlp_out: true effect",
      "mlp_out: score",
      "mlp_out: score − effect",
    ]);
    expect(features?.caption).toContain("Each cell adds up the SAE features that were measured");
    const [row = []] = features?.table.rows ?? [];
    expect(row.slice(0, 5)).toEqual(["feature", "mlp_out", 0, 1, 2]);
    expect(row.slice(5).map(Number)).toEqual([
      expect.closeTo(0.003, 9),
      expect.closeTo(3 / 900, 9),
      expect.closeTo(3 / 900 - 0.003, 9),
    ]);
  });

  test("leave out scores of another effect", () => {
    const plan = { sweep: { scores: [{ name: "zero", method: "zero" }] }, shape: { nLayers: 3 } };
    expect(truthMapFigures({ ...contentsOf({ nodes: [node(0)] }), plan } as unknown as TruthContents)).toEqual([]);
  });
});

describe("circuits", () => {
  test("that pass the full model are said to, in the headline and under the curves", () => {
    const sizes = [3, 30, 300];
    const circuits = [0.4, 1.5, 1.1].map((faithfulness, i) =>
      circuit({
        features: must(sizes[i], "size"),
        faithfulness,
        faithfulnessLow: faithfulness - 0.05,
        faithfulnessHigh: faithfulness + 0.05,
      }),
    );
    const [figure] = circuitFigures(contentsOf({ circuits }));
    expect(figure?.panels[0]?.notes).toEqual(["all nodes: passes 1 between 5 and 32 nodes; highest 1.50 at 32 nodes"]);
    expect(figure?.panels[0]?.svg).toContain("full model");
    expect(saidOf(circuits)).toContain("the one of 32 nodes has <strong>1.50 [1.45, 1.55]</strong>, above 1");
    expect(saidOf(circuits.slice(0, 1))).not.toContain("above 1");
    const wide = circuits.map((row) => ({
      ...row,
      simultaneous: atOnce(row.faithfulness - 0.6, row.faithfulness + 0.6),
    }));
    expect(saidOf(wide)).not.toContain("above 1");
    const [below] = circuitFigures(contentsOf({ circuits: circuits.slice(0, 1) }));
    expect(below?.panels[0]?.notes[0]).toContain("never above 1");
  });

  test("custom configurations have a table of their own and no curve", () => {
    const circuits = [circuit({}), circuit({ circuit: "no-errors", variant: "custom", threshold: Number.NaN })];
    expect(thresholdCircuits(circuits)).toHaveLength(1);
    expect(experimentTable(contentsOf({ circuits }))?.text).toContain("no-errors");
    const heads = [circuit({ variant: "custom", features: 0, errorsResid: 0, errorsOther: 0, heads: 77 })];
    const text = experimentTable(contentsOf({ circuits: heads }))?.text;
    expect(text).toContain("heads live");
    expect(text).toContain("77");
    expect(text).not.toContain("features live");
  });

  test("the headline takes the smallest whose interval at once with all others is high enough", () => {
    const small = circuit({ features: 8, faithfulness: 0.9, faithfulnessLow: 0.85, faithfulnessHigh: 0.95, simultaneous: atOnce(0.7, 1.1) }); // prettier-ignore
    const large = circuit({ features: 80, faithfulness: 0.99, faithfulnessLow: 0.95, faithfulnessHigh: 1.02, simultaneous: atOnce(0.91, 1.07) }); // prettier-ignore
    const said = saidOf([large, small]);
    expect(said).toContain("whose whole interval reaches at least 80 % of the metric has <strong>82 nodes</strong> and faithfulness <strong>0.99 [0.91, 1.07]</strong>"); // prettier-ignore
    expect(said).toContain("By its estimate alone the circuit of 10 nodes does too: 0.90 [0.70, 1.10].");
    expect(said).toContain("In brackets: rough intervals over 30 clusters of prompts, for all 2 circuits at once.");
    expect(saidOf([large, small], 19)).toContain("In brackets: rough intervals over 19 clusters of prompts, for all");
    expect(said).not.toMatch(/95\s%/);
    expect(saidOf([small])).toContain("The smallest circuit whose estimate reaches at least 80 % of the metric has <strong>10 nodes</strong>"); // prettier-ignore
  });

  test("the headline's pick is exploratory where no interval holds for all circuits, or is no pick at all", () => {
    const small = circuit({ features: 8, faithfulness: 0.9, faithfulnessLow: 0.85, faithfulnessHigh: 0.95 });
    const large = circuit({ features: 80, faithfulness: 0.99, faithfulnessLow: 0.9, faithfulnessHigh: 1.1 });
    expect(saidOf([large, small])).toContain("<strong>10 nodes</strong> and faithfulness <strong>0.90 [0.85, 0.95]</strong>"); // prettier-ignore
    expect(saidOf([large, small])).toContain("it is exploratory. In brackets: 95 % over 30 clusters of prompts, for each circuit by itself."); // prettier-ignore
    expect(saidOf([large, small], 5)).toContain("it is exploratory, and 5 clusters of prompts are too few for any interval."); // prettier-ignore
    expect(saidOf([circuit({})])).toContain("No circuit&#39;s estimate reaches 80 % of the metric; the best one has <strong>10 nodes</strong>"); // prettier-ignore
    expect(saidOf([])).toBe("");
  });

  test("call their intervals what clusters allow, in tables and figure too", () => {
    const shown = (clusters: number): string => {
      const contents = contentsOf({ circuits: [circuit({}), circuit({ variant: "custom" })], clusters });
      return [
        compositionTable(contents)?.text,
        experimentTable(contents)?.text,
        circuitFigures(contents)[0]?.caption,
      ].join();
    };
    expect(shown(20).match(/95 % over 20 clusters of prompts/g)).toHaveLength(5);
    expect(shown(19).match(/rough interval over 19 clusters of prompts/g)).toHaveLength(5);
    expect(shown(19)).not.toMatch(/95\s%/);
    expect(shown(5)).not.toMatch(/95\s%|rough|Bands/);
  });

  test("without faithfulness say so and why, in headline and tables, and have no curve", () => {
    const refused = (change: Partial<CircuitRow>): CircuitRow =>
      circuit({
        undefinedBecause: "the interval of metric_full - metric_empty holds 0",
        ablation: "resample",
        denominator: 0.012,
        denominatorLow: -0.31,
        denominatorHigh: 0.36,
        faithfulness: Number.NaN,
        faithfulnessLow: Number.NaN,
        faithfulnessHigh: Number.NaN,
        faithfulnessMean: Number.NaN,
        ...change,
      });
    const why = "under resample ablation (m(full) − m(empty) = 0.01 [−0.31, 0.36])";
    const circuits = [refused({}), refused({ circuit: "all-01", features: 80 })];
    const headline = circuitAnswer({ circuits, clusters: 30 }).map(({ text }) => text);
    expect(headline).toEqual([expect.stringContaining("<strong>Faithfulness is undefined</strong>")]);
    expect(headline[0]).toContain(why);
    expect(headline[0]).not.toMatch(/recovers|NaN/);
    expect(circuitFigures(contentsOf({ circuits }))).toEqual([]);
    expect(compositionTable(contentsOf({ circuits }))?.text.match(/>undefined</g)).toHaveLength(2 * 3);
    expect(undefinedNotes(contentsOf({ circuits })).map(({ text }) => text)).toEqual([expect.stringContaining(why)]);
    expect(compositionCsv(contentsOf({ circuits })).rows[0]?.at(-1)).toContain("holds 0");

    const custom = refused({ circuit: "late", variant: "custom" });
    const mixed = contentsOf({ circuits: [circuit({}), custom] });
    expect(experimentTable(mixed)?.text).toContain("undefined");
    expect(undefinedNotes(mixed)).toHaveLength(1);
    expect(undefinedNotes(contentsOf({ circuits: [...circuits, custom] }))).toHaveLength(1);
    expect(circuitFigures(mixed)).toHaveLength(1);
    expect(undefinedNotes(contentsOf({ circuits: [circuit({})] }))).toEqual([]);
  });
});
