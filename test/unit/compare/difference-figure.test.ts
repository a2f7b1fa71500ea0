/** @file What tables and figure show of a comparison. */
import { describe, expect, test } from "vitest";
import type { AgreementDifference } from "../../../src/compare/agreement-differences.js";
import type { CircuitDifference } from "../../../src/compare/circuit-differences.js";
import type { Comparison } from "../../../src/compare/comparison.js";
import { comparisonSections, noteOf } from "../../../src/compare/comparison-tables.js";
import { differenceFigure } from "../../../src/compare/difference-figure.js";
import { sweepDifferences } from "../../../src/compare/sweep-differences.js";
import { toMarkdown, toValues } from "../../../src/tables/table.js";
import { must } from "../../../src/base/assert.js";
import { NODE_LIST, runOf } from "./two-tables.js";

const interval = (value: number | null, low: number | null = null, high: number | null = null) => ({ value, low, high, bias: 0 }); // prettier-ignore
const UNKNOWN = interval(null);
const agreement = (statistic: AgreementDifference["statistic"], difference = interval(0.2, 0.1, 0.3)): AgreementDifference => ({ family: { kind: "error", site: "mlp_out", global: false }, scores: ["atp", "ig"], n: [15, 12], isSame: false, statistic, a: interval(0.5, 0.4, 0.6), b: interval(0.7, 0.6, 0.8), difference }); // prettier-ignore
const circuit: CircuitDifference = { circuit: "all", threshold: 0.1, sizes: [7, 9], measure: "faithfulness", a: interval(0.5), b: UNKNOWN, difference: UNKNOWN }; // prettier-ignore
const comparison: Comparison = {
  a: runOf(),
  b: runOf({ folder: "runs/b" }),
  clusters: 30,
  swept: [],
  agreement: [agreement("pearson"), agreement("off", UNKNOWN)],
  ranks: [],
  circuits: [circuit],
};

describe("a comparison", () => {
  test("has a row for each statistic; a cell of JSON is an estimate with its interval, null where undefined", () => {
    const sections = comparisonSections(comparison);
    expect(toMarkdown(sections)).toContain(
      "| mlp_out | A AtP, B IG | 15, 12 others | r | .50 [.40, .60] | .70 [.60, .80] | 0.20 [0.10, 0.30] |\n" +
        "|  | A AtP, B IG | 15, 12 others | off | 0.50 [0.40, 0.60] | 0.70 [0.60, 0.80] | – |",
    );
    expect(toMarkdown(sections)).toContain("| all nodes | 0.10 | 7 | 9 | 0.500 | – | – |");
    expect(toValues(sections)[0]?.tables[0]?.rows[1]?.at(-1)).toEqual({ value: null, low: null, high: null });
  });

  test("says what nodes were set to, where that is not the corrupted run", () => {
    const titles = (donor: string) =>
      comparisonSections({ ...comparison, a: runOf({ sweep: { truth: { donor } } }) }).map(({ title }) => title);
    expect(titles("corrupted")[0]).toBe("Nodes of kind error");
    expect(titles("zero")[0]).toBe("Nodes of kind error, set to zero");
  });

  test("calls experiments by their names", () => {
    const named = ["all", "valueOf"].map((name) => ({ ...circuit, circuit: name, threshold: Number.NaN }));
    const shown = toMarkdown(comparisonSections({ ...comparison, circuits: named }));
    expect(shown).toContain("| all | – | 7 | 9 |");
    expect(shown).toContain("| valueOf | – | 7 | 9 |");
  });

  test("says of as many other nodes that they are others, and of ranks how far down places go", () => {
    const one = { ...agreement("pearson"), n: [15, 15] as const };
    const ranks = [{ kind: "error" as const, global: false, n: 15, places: 1250.4, columns: ["effect"], nodes: [{ node: must(NODE_LIST[0], "node"), ranks: [interval(7, 1, 361)] }] }]; // prettier-ignore
    const shown = (more: Partial<Comparison>) => toMarkdown(comparisonSections({ ...comparison, ...more }));
    expect(shown({ agreement: [one] })).toContain("| 15, 15 others |");
    expect(shown({ agreement: [{ ...one, isSame: true }] })).toContain("| 15 |");
    expect(shown({ ranks })).toContain("among 15 measured nodes, which stand for 1\u202f250 [95 %");
    expect(shown({ ranks: ranks.map((rank) => ({ ...rank, places: 15 })) })).toContain("15 measured nodes [95 %");
  });

  test("is drawn as a dot with a line for each difference that is defined", () => {
    const { panels, table } = differenceFigure(comparison, "T");
    expect(panels.map(({ title }) => title)).toEqual(["r, B − A", "off, B − A"]);
    expect(panels.map(({ svg }) => svg.split("<circle").length - 1)).toEqual([1, 0]);
    expect(panels[0]?.svg).toContain("SAE errors, mlp_out · A AtP, B IG");
    expect(table.rows).toHaveLength(2);
  });

  test("says in the figure's title what its lines are, and names a threshold without zeros at its end", () => {
    const circuits = [0.001, -2.5e-7].map((threshold) => ({
      ...circuit,
      threshold,
      difference: interval(0.1, 0, 0.2),
    }));
    const { title, panels } = differenceFigure({ ...comparison, agreement: [], circuits }, "T");
    expect(title).toBe("T [95 % over 30 clusters of prompts]");
    expect(panels[0]?.svg).toContain("at least 0.001 · all nodes");
    expect(panels[0]?.svg).toContain("at least −2.5e−7 · all nodes");
  });

  test("calls an interval one of 95 % with twenty clusters only, and says where there is none", () => {
    expect([30, 19, 5, 1].map((clusters) => noteOf(clusters))).toEqual([
      " [95 % over 30 clusters of prompts]",
      " [rough interval over 19 clusters of prompts]",
      " (no interval: 5 clusters of prompts are too few)",
      " (no interval: 1 cluster of prompts is too few)",
    ]);
  });
});

test("sweeps differ in fields by their paths, scores by their names; the name of a run is no difference", () => {
  const ig = { name: "ig", method: "ig", steps: 10 };
  const atp = { name: "atp", method: "atp" };
  const first = runOf({ sweep: { scores: [atp, ig], circuits: { ablation: "mean", thresholds: [1, 2] } } });
  const sweep = { scores: [{ ...ig, steps: 5 }, atp], circuits: { ablation: "mean", thresholds: [1, 3] }, truth: {} };
  const second = runOf({ folder: "runs/b", sweep, fingerprints: { code: "code 2" } });
  expect(sweepDifferences(first, first)).toEqual([]);
  expect(sweepDifferences(first, second)).toEqual([
    { field: "scores.ig.steps", a: "10", b: "5" },
    { field: "circuits.thresholds", a: "[1,2]", b: "[1,3]" },
    { field: "code", a: "code 1", b: "code 2" },
  ]);
});

test("long values that begin alike are shown where they come apart", () => {
  const of = (last: number) => runOf({ sweep: { circuits: { thresholds: [...Array<number>(60).fill(1), last] } } });
  const ones = `…${"1,".repeat(10)}`;
  expect(sweepDifferences(of(2), of(3))).toEqual([{ field: "circuits.thresholds", a: `${ones}2]`, b: `${ones}3]` }]);
});
