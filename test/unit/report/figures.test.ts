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

const circuit = (change: Partial<CircuitRow>): CircuitRow => ({
  circuit: "all-00",
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
  ...change,
});

describe("truth figures", () => {
  test("draw the strongest nodes and a sample of the rest where there are too many, and say so", () => {
    const nodes = Array.from({ length: 5000 }, (_, i) => node(i));
    const [figure] = truthFigures(contentsOf({ nodes }));
    const panel = figure?.panels[0];
    expect(panel?.svg.match(/<circle /g)).toHaveLength(2000);
    expect(panel?.notes).toContain("2\u202f000 of the points are drawn");
    expect(panel?.svg).toContain("feature 4999");
    expect(figure?.table.rows).toHaveLength(5000);
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
    const groups = [{ ...group, pearson: interval, slope: interval, intercept: interval } as unknown as Group];
    const draw = (): string | undefined => truthFigures(contentsOf({ nodes, groups }))[0]?.panels[0]?.svg;
    expect(draw()).toBe(draw());
    expect(draw()).toMatch(/clip-path="url\(#clip-[0-9a-f]{10}-0\)"/);
  });
});

describe("circuits", () => {
  test("custom configurations have a table of their own and no curve", () => {
    const circuits = [circuit({}), circuit({ circuit: "no-errors", variant: "custom", threshold: Number.NaN })];
    expect(thresholdCircuits(circuits)).toHaveLength(1);
    expect(experimentTable(contentsOf({ circuits }))?.text).toContain("no-errors");
  });

  test("the headline takes the smallest faithful circuit, or admits that there is none", () => {
    const small = circuit({ features: 8, faithfulness: 0.9, faithfulnessLow: 0.85, faithfulnessHigh: 0.95 });
    const large = circuit({ features: 80, faithfulness: 0.99, faithfulnessLow: 0.9, faithfulnessHigh: 1.1 });
    const text = (circuits: CircuitRow[]): string =>
      circuitAnswer(thresholdCircuits(circuits))
        .map((part) => part.text)
        .join(" ");
    expect(text([large, small])).toContain(
      "<strong>10 nodes</strong> and faithfulness <strong>0.90 [0.85, 0.95]</strong>",
    );
    expect(text([circuit({})])).toContain(
      "No circuit recovers 80 % of the metric; the best one has <strong>10 nodes</strong>",
    );
    expect(text([])).toBe("");
  });

  test("without faithfulness say so and why, in headline and tables, and have no curve", () => {
    const refused = (change: Partial<CircuitRow>): CircuitRow =>
      circuit({
        undefinedBecause: "the 95 % interval of metric_full - metric_empty holds 0",
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
    const headline = circuitAnswer(thresholdCircuits(circuits)).map(({ text }) => text);
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
