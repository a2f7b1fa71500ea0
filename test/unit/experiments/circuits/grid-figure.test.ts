/** @file Figures of grids: where axes stand, and what is drawn of the points. */
import { describe, expect, it } from "vitest";
import { must } from "../../../../src/base/assert.js";
import type { Axis, Grid } from "../../../../src/experiments/circuits/grid.js";
import { type FigureSpec, setExperiment } from "../../../../src/experiments/circuits/points.js";
import { pointsOf } from "../../../../src/experiments/circuits/points.js";
import { toCircuitRow } from "../../../../src/experiments/circuits/report/circuit-row.js";
import type { CircuitContents } from "../../../../src/experiments/circuits/report/contents.js";
import { gridAnswers } from "../../../../src/experiments/circuits/report/grid-answers.js";
import { gridFigures } from "../../../../src/experiments/circuits/report/grid-figure.js";
import { layoutOf } from "../../../../src/experiments/circuits/report/grid-layout.js";

const NAMED: Axis = { named: ["a", "b", "c"].map((name) => [name, 1]) };
const LONG: Axis = [1, 2, 3, 5, 10, 25, 50];
const WINDOWS: Axis = { windows: "0..6", width: 2, step: 1 };

function placed(grid: Grid, figure: FigureSpec = {}): unknown {
  const layout = layoutOf(grid, figure);
  return layout === null
    ? null
    : [layout.x.name, layout.y?.name ?? null, layout.lines?.name ?? null, layout.facets.map(({ name }) => name)];
}

describe("the axes of a grid", () => {
  it.each<[string, Grid, unknown]>([
    ["one alone runs along x", [["K", LONG]], ["K", null, null, []]],
    [
      "the longest ordered one runs along x, a short one is a line each",
      [
        ["R", [1, 2]],
        ["K", LONG],
      ],
      ["K", null, "R", []],
    ],
    [
      "names are lines, the next ones panels",
      [
        ["what", NAMED],
        ["W", WINDOWS],
        ["ablation", ["mean", "zero"]],
      ],
      ["W", null, "what", ["ablation"]],
    ],
    [
      "two long ones are a heatmap, names then panels",
      [
        ["K", LONG],
        ["W", WINDOWS],
        ["what", NAMED],
      ],
      ["K", "W", null, ["what"]],
    ],
    ["names alone run along x", [["what", NAMED]], ["what", null, null, []]],
    [
      "one value is no axis",
      [
        ["K", [1]],
        ["t", LONG],
      ],
      ["t", null, null, []],
    ],
    ["none is no figure", [["K", [1]]], null],
  ])("%s", (_, grid, expected) => {
    expect(placed(grid)).toEqual(expected);
  });

  const THREE: Grid = [
    ["K", LONG],
    ["R", [1, 2]],
    ["what", NAMED],
  ];
  it.each<[FigureSpec, unknown]>([
    [{}, ["K", null, "R", ["what"]]],
    [{ x: "R" }, ["R", null, "what", ["K"]]],
    [{ lines: "what" }, ["K", null, "what", ["R"]]],
    [{ lines: "K" }, ["R", null, "K", ["what"]]],
    [{ facets: ["R"] }, ["K", null, "what", ["R"]]],
    [{ facets: ["K", "what"] }, ["R", null, null, ["K", "what"]]],
    [{ kind: "heatmap" }, ["K", "R", null, ["what"]]],
    [{ kind: "heatmap", x: "what", lines: "R" }, ["what", "R", null, ["K"]]],
  ])("stand where the sweep's figure says: %j", (figure, expected) => {
    expect(placed(THREE, figure)).toEqual(expected);
  });

  it("two long ones are lines where the sweep says so", () => {
    const grid: Grid = [
      ["K", LONG],
      ["W", WINDOWS],
    ];
    expect(placed(grid, { kind: "lines" })).toEqual(["K", null, null, ["W"]]);
    expect(placed(grid, { kind: "lines", lines: "W" })).toEqual(["K", null, "W", []]);
  });
});

/** Contents of a sweep whose points have faithfulness 0.1, 0.2, ... */
function contentsOf(experiment: unknown, undefinedPoints = 0): CircuitContents {
  const sweep = { experiments: [setExperiment.parse(experiment)] };
  const circuits = pointsOf(sweep).map(({ circuit }, i) =>
    toCircuitRow({
      circuit,
      variant: "custom",
      metric_circuit: i,
      faithfulness: i < undefinedPoints ? Number.NaN : (i + 1) / 10,
      faithfulness_low: i / 10,
      faithfulness_high: (i + 2) / 10,
      n_features: 100 * i,
      n_errors_resid: 0,
      n_errors_other: 0,
      n_sites: 0,
      n_heads: 0,
      nodes_ablated: i,
      nodes_restored: 0,
    }),
  );
  return { plan: { sweep }, circuits, contrasts: null, clusters: 30 } as unknown as CircuitContents;
}

const count = (svg: string, mark: RegExp): number => svg.match(mark)?.length ?? 0;

describe("the figure of a grid", () => {
  it("has a point for each configuration, a line for each value of the second axis, and bands", () => {
    const contents = contentsOf({ name: "x", grid: { K: [1, 2, 4], R: ["a", "b"] }, ablate: { set: "$R", top: "$K" } });
    const [figure] = gridFigures(contents);
    const panel = must(figure?.panels[0], "panel").svg;
    expect(figure?.panels).toHaveLength(1);
    expect(count(panel, /<circle /g)).toBe(6);
    expect(count(panel, /data-mark="line"/g)).toBe(2);
    expect(count(panel, /data-mark="area"/g)).toBe(2);
    expect(figure?.legend).toMatchObject({ kind: "series", entries: [{ label: "R: a" }, { label: "R: b" }] });
    expect(figure?.table.rows).toHaveLength(6);
    expect(figure?.table.rows[1]).toEqual([1, "b", "x[K=1,R=b]", 0.2, 0.1, 0.3, 1, 0]);
    expect(figure?.caption).toContain("95 % over 30 clusters");
  });

  it("joins no names, and draws the interval of each", () => {
    const [figure] = gridFigures(contentsOf({ name: "x", grid: { R: ["a", "b", "c"] }, ablate: { set: "$R" } }));
    const panel = must(figure?.panels[0], "panel").svg;
    expect(count(panel, /data-mark="(area|line)"/g)).toBe(0);
    expect(count(panel, /<circle /g)).toBe(3);
    expect(
      count(
        /<g[^>]*data-mark="rule"[^>]*>(?:(?!<\/g>).)*stroke-opacity="0.5".*?<\/g>/s.exec(panel)?.[0] ?? "",
        /<line /g,
      ),
    ).toBe(3);
    expect(figure?.caption).toContain("Bars: 95 %");
  });

  it("labels every value of an axis, on a logarithmic one too", () => {
    const grid = { t: [0.0032, 0.05, 0.5, 0.9] };
    const [figure] = gridFigures(contentsOf({ name: "x", grid, ablate: { kind: "error", where: "abs > $t" } }));
    const panel = must(figure?.panels[0], "panel").svg;
    for (const label of ["0.0032", "0.050", "0.50", "0.90"]) expect(panel).toContain(`>${label}</text>`);
  });

  it("gives close values as many digits as tell them apart", () => {
    const grid = { t: [0.0271, 0.0274, 0.1] };
    const [figure] = gridFigures(contentsOf({ name: "x", grid, ablate: { kind: "error", where: "abs > $t" } }));
    for (const label of ["0.0271", "0.0274", "0.100"]) expect(figure?.panels[0]?.svg).toContain(`>${label}</text>`);
  });

  it("runs along the number of kept nodes where the sweep asks for it, without circuits that keep none", () => {
    const grid = { t: [0.1, 0.2, 0.3], without: ["a", "b"] };
    const keep = { set: "$without", where: "abs > $t" };
    const [figure] = gridFigures(contentsOf({ name: "x", grid, keep, figure: { x: "nodes" } }));
    const panel = must(figure?.panels[0], "panel").svg;
    expect(figure?.table.columns.slice(0, 2)).toEqual(["nodes", "without"]);
    expect(figure?.table.rows.map(([nodes]) => nodes)).toEqual([100, 200, 300, 400, 500]);
    expect(count(panel, /<circle /g)).toBe(5);
    expect(count(panel, /data-mark="line"/g)).toBe(2);
    expect(panel).toContain(">nodes →</text>");
  });

  it("prints the value of each cell of a heatmap", () => {
    const long = [1, 2, 3, 4, 5, 6];
    const contents = contentsOf({
      name: "x",
      grid: { K: long, L: long },
      ablate: { kind: "error", layers: "$L", top: "$K" },
    });
    const [figure] = gridFigures(contents);
    const panel = must(figure?.panels[0], "panel").svg;
    // The cells lie on a ground of the same size.
    expect(count(panel, /<rect /g)).toBe(2 * 36);
    expect(panel).toContain(">.10<");
    expect(panel).toContain(">3.60<");
  });

  it("draws the difference of two values over the other axes", () => {
    const contents = contentsOf({
      name: "x",
      grid: { K: [1, 2, 4], ablation: ["mean", "zero"] },
      ablate: { kind: "error", top: "$K" },
      contrast: { ablation: "zero - mean" },
    });
    const contrasts = [1, 2, 4].map((k) => ({
      first: `x[K=${String(k)},ablation=zero]`,
      second: `x[K=${String(k)},ablation=mean]`,
      difference: -k / 10,
      low: -k / 8,
      high: -k / 20,
    }));
    const [, figure] = gridFigures({ ...contents, contrasts });
    const keep = { kind: "error", top: "$K" };
    const bySize = contentsOf({
      name: "x",
      grid: { K: [1, 2, 4], ablation: ["mean", "zero"] },
      keep,
      contrast: { ablation: "zero - mean" },
      figure: { x: "nodes" },
    });
    // Differences have no number of nodes.
    expect(gridFigures({ ...bySize, contrasts })[1]?.table).toEqual(figure?.table);
    expect(figure).toMatchObject({ id: "grid-x-ablation", title: "x, ablation: zero - mean" });
    expect(figure?.table).toEqual({
      columns: ["K", "circuit", "difference of faithfulness", "low", "high"],
      rows: contrasts.map(({ first, second, difference, low, high }, i) => [
        [1, 2, 4][i],
        `${first} - ${second}`,
        difference,
        low,
        high,
      ]),
    });
    expect(count(must(figure?.panels[0], "panel").svg, /<circle /g)).toBe(3);
  });

  it("shows the metric where no point has a ratio, and nothing where there is nothing", () => {
    const written = { name: "x", grid: { K: [1, 2, 4] }, ablate: { kind: "error", top: "$K" } };
    const [figure] = gridFigures(contentsOf(written, 3));
    expect(figure?.panels[0]?.title).toBe("metric");
    expect(figure?.table.rows.map((row) => row[2])).toEqual([0, 1, 2]);
    expect(gridFigures({ ...contentsOf(written), circuits: [] })).toEqual([]);
    expect(gridFigures(contentsOf({ name: "x", ablate: { kind: "error" } }))).toEqual([]);
  });
});

describe("what a grid came to", () => {
  it("is said of its extremes, with their places and without intervals", () => {
    const contents = contentsOf({ name: "x", grid: { K: [1, 2, 4], R: ["a", "b"] }, ablate: { set: "$R", top: "$K" } });
    expect(gridAnswers(contents).map(({ text }) => text.replace(/<[^>]*>/g, ""))).toEqual([
      "x: over 6 points faithfulness goes from 0.10 (K 1, R a) to 0.60 (K 4, R b). Extremes of many estimates have no interval of their own, and none is given.",
    ]);
  });

  it("is not said where nothing could be recovered", () => {
    const contents = contentsOf({ name: "x", grid: { K: [1, 2] }, ablate: { kind: "error", top: "$K" } }, 2);
    expect(gridAnswers(contents)).toEqual([]);
  });
});
