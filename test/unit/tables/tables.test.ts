/** @file What the tables of a run say of nodes, scores and circuits whose agreement is known. */
import { describe, expect, test } from "vitest";
import { must } from "../../../src/base/assert.js";
import type { NodeKind } from "../../../src/nodes/kinds.js";
import { nodeHook } from "../../../src/nodes/node.js";
import type { SiteAt } from "../../../src/nodes/site.js";
import type { ParquetRow } from "../../../src/artifacts/parquet.js";
import { toCircuitRow } from "../../../src/experiments/circuits/report/circuit-row.js";
import { clustersOf } from "../../../src/stats/clusters.js";
import { agreementTables } from "../../../src/tables/agreement-tables.js";
import { setExperiment } from "../../../src/experiments/circuits/points.js";
import type { Plan } from "../../../src/plan/plan.js";
import { experimentSection } from "../../../src/tables/experiment-table.js";
import { circuitSection } from "../../../src/tables/circuit-table.js";
import { bounded, plain, shownAs, toMarkdown, type Table } from "../../../src/tables/table.js";
import { bootstrapMeans, truthMatrices } from "../../../src/tables/truth-matrices.js";

const PROMPTS = 8;
const SCORES = ["exact", "nothing"];

/** A row of truth.parquet: `exact` is the effect, `nothing` is 0. */
function rowOf(kind: NodeKind, at: SiteAt, position: number, prompt: number, effect: number): ParquetRow {
  const node = { hook: nodeHook(at, kind), kind, ...at, position, feature: -1, head: -1 };
  return { ...node, prompt, effect, exact: effect, nothing: 0 };
}

/** Rows of one node on all prompts but those left out. */
function rowsOf(at: SiteAt, position: number, effect: number, without: readonly number[] = []): ParquetRow[] {
  return Array.from({ length: PROMPTS }, (_, p) => rowOf("error", at, position, p, effect * (1 + p / 10))).filter(
    (_, p) => !without.includes(p),
  );
}

function tablesOf(rows: readonly ParquetRow[]): Map<string, Table> {
  const truth = { ...truthMatrices(rows, PROMPTS, SCORES), firstPatched: 1 };
  const tables = agreementTables(
    "error",
    truth,
    bootstrapMeans(truth, clustersOf(new Array<undefined>(PROMPTS).fill(undefined))),
    [],
  );
  return new Map(tables.map((table) => [table.title.replace(/ \(.*/, ""), table]));
}

const textOf = (table: Table | undefined): string[] =>
  must(table, "table").rows.map((row) => row.map(({ text }) => text).join(" | "));

describe("tables of agreement", () => {
  const nodes = [0, 1, 2, 3, 4, 5].flatMap((layer) => rowsOf({ site: "mlp_out", layer }, 2, layer / 4));
  const tables = tablesOf(nodes);

  test("a score that is the effect agrees entirely, and one that is 0 not at all; a node that is 0 in both does not enter", () => {
    expect(textOf(tables.get("By site"))).toEqual([
      "mlp_out | exact | 5 | 1.00 | 1.00 | 1.00 | 1.00 | .00",
      "mlp_out | nothing | 5 | – | – | .00 | – | 1.00",
    ]);
  });

  test("a node enters for every score where any score is not 0, and for none where no patch changes anything", () => {
    const scored = [0, 1, 2, 3].flatMap((layer) =>
      rowsOf({ site: "mlp_out", layer }, 2, 0).map((row) => ({ ...row, exact: layer })),
    );
    const before = rowsOf({ site: "mlp_out", layer: 5 }, 0, 1);
    expect(
      textOf(tablesOf([...scored, ...before]).get("By site")).map((line) => line.split(" | ").slice(0, 3)),
    ).toEqual([
      ["mlp_out", "exact", "3"],
      ["mlp_out", "nothing", "3"],
    ]);
  });

  test("groups of ten nodes have intervals, smaller ones have none", () => {
    const more = [0, 1, 2, 3, 4, 5].flatMap((layer) => rowsOf({ site: "mlp_out", layer }, 3, 1 + layer / 4));
    expect(textOf(tablesOf([...nodes, ...more]).get("By site"))).toEqual([
      "mlp_out | exact | 11 | 1.00 [1.00, 1.00] | 1.00 [1.00, 1.00] | 1.00 [1.00, 1.00] | 1.00 [1.00, 1.00] | .00 [.00, .00]",
      "mlp_out | nothing | 11 | – | – | .00 [.00, .00] | – | 1.00 [1.00, 1.00]",
    ]);
  });

  test("groups of fewer than three nodes are left out, and layers are named by what is there", () => {
    const labels = new Set(textOf(tables.get("By site and layers")).map((row) => row.split(" | ")[0]));
    expect(labels).toEqual(new Set());
    const more = [3, 4].flatMap((position) =>
      [2, 3].flatMap((layer) => rowsOf({ site: "mlp_out", layer }, position, 1)),
    );
    const named = tablesOf([...nodes, ...more]).get("By site and layers");
    expect(textOf(named).map((row) => row.split(" | ")[0])).toEqual(["mlp_out, layers 2–3", "mlp_out, layers 2–3"]);
  });

  test("effects of at least 0.3 are shown node by node, with the score's share of them", () => {
    expect(textOf(tables.get("Score as a share of the true effect, node by node"))[0]).toMatch(
      /^mlp_out 1, position 2, error \| \.34 \[\.\d\d, \.\d\d\] \| 1\.00 \[1\.00, 1\.00\] \| \.00 \[\.00, \.00\]$/,
    );
    expect(tables.get("Score as a share of the true effect, node by node")?.rows).toHaveLength(5);
  });

  test("a node that some prompts do not have is its mean over the others", () => {
    const few = rowsOf({ site: "attn_z", layer: 0 }, 3, 1, [0, 1, 2, 3, 4, 5, 6]);
    const shares = tablesOf([...nodes, ...few]).get("Score as a share of the true effect, node by node");
    expect(textOf(shares).at(-1)).toMatch(/^attn_z 0, position 3, error \| 1\.70 \[1\.70, 1\.70\]/);
  });

  test("nodes patched at all positions at once are a group of their own", () => {
    const all = [0, 1, 2].flatMap((layer) => rowsOf({ site: "resid_post", layer }, -1, 1 + layer));
    const labels = textOf(tablesOf([...nodes, ...all]).get("By site and position")).map((row) => row.split(" | ")[0]);
    expect(new Set(labels)).toEqual(new Set(["mlp_out, position 2", "resid_post, all positions at once"]));
  });
});

describe("the table of circuits", () => {
  const circuit = (variant: string, threshold: number, faithfulness: number): ParquetRow => ({
    circuit: variant,
    variant,
    threshold,
    n_features: 1234,
    n_errors_resid: 0,
    n_errors_other: 2,
    n_sites: 0,
    n_heads: 0,
    faithfulness,
    faithfulness_low: faithfulness - 0.1,
    faithfulness_high: faithfulness + 0.1,
    completeness: 0.25,
    completeness_low: Number.NaN,
    completeness_high: Number.NaN,
  });

  test("has a row for each threshold, the kinds of node that some circuit keeps, and every variant", () => {
    const rows = [0.1, 0.01].flatMap((threshold, i) => [
      circuit("all", threshold, 0.5 + i / 10),
      circuit("no_resid_errors", threshold, 0.3),
    ]);
    const section = circuitSection([...rows, circuit("by hand", Number.NaN, 0)].map(toCircuitRow));
    expect(toMarkdown(section === null ? [] : [section])).toBe(`## Circuits

### Faithfulness by variant, completeness of \`all\`

| score at least | features | errors of the others | all nodes | resid errors ablated | completeness |
| --- | --- | --- | --- | --- | --- |
| 0.10 | 1,234 | 2 | .50 [.40, .60] | .30 [.20, .40] | .25 [–, –] |
| 0.010 | 1,234 | 2 | .60 [.50, .70] | .30 [.20, .40] | .25 [–, –] |`);
  });

  test("is there without the variant of all nodes, and absent without thresholds", () => {
    const section = circuitSection([circuit("no_resid_errors", 1, 0.3)].map(toCircuitRow));
    expect(section?.tables[0]?.title).toBe("Faithfulness by variant, completeness of `no_resid_errors`");
    expect(circuitSection([circuit("by hand", Number.NaN, 0)].map(toCircuitRow))).toBeNull();
  });
});

test("experiments have a table for each grid, and one for those without", () => {
  const written = { name: "x", grid: { K: [1, 2], ablation: ["mean"] }, ablate: { kind: "error", top: "$K" } };
  const sweep = { experiments: [setExperiment.parse(written)] };
  const row = (circuit: string, faithfulness: number): ParquetRow => ({
    ...{ circuit, variant: "custom", ablation: "mean", nodes_ablated: 3, nodes_restored: 1, faithfulness },
    ...{ faithfulness_low: faithfulness - 0.1, faithfulness_high: faithfulness + 0.1, completeness: Number.NaN },
  });
  const rows = [row("x[K=1,ablation=mean]", 0.5), row("x[K=2,ablation=mean]", 0.4), row("by-hand", 0.9)];
  const section = experimentSection(rows.map(toCircuitRow), sweep as unknown as Plan["sweep"]);
  expect(toMarkdown(section === null ? [] : [section])).toBe(`## Experiments

### x

| K | ablation | nodes ablated | nodes restored | faithfulness |
| --- | --- | --- | --- | --- |
| 1 | mean | 3 | 1 | .50 [.40, .60] |
| 2 | mean | 3 | 1 | .40 [.30, .50] |

### Without a grid

| experiment | ablation | nodes ablated | nodes restored | faithfulness |
| --- | --- | --- | --- | --- |
| by-hand | mean | 3 | 1 | .90 [.80, 1.00] |`);
  expect(experimentSection([], { experiments: [] } as unknown as Plan["sweep"])).toBeNull();
});

test("Markdown names a group in its first row alone, and values stay whole in cells", () => {
  const rows = [plain("a"), plain("a"), plain("b")].map((cell) => [cell, shownAs("1.2k", 1200)]);
  const table = { title: "T", columns: ["x", "y"], rows, grouped: true };
  const lines = toMarkdown([{ title: "S", tables: [table] }]).split("\n");
  expect(lines.slice(-3)).toEqual(["| a | 1.2k |", "|  | 1.2k |", "| b | 1.2k |"]);
  expect(bounded({ value: 0.123456, low: null, high: 1 })).toEqual({
    text: ".12 [–, 1.00]",
    value: { value: 0.123456, low: null, high: 1 },
  });
});
