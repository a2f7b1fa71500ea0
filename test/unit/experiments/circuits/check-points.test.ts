/** @file Faults of node sets and of the grids of configurations on them: each with its line, its field and what to do. */
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { REGISTER } from "../../../../src/experiments/registry.js";
import { pointCounts, pointsOf, setUses } from "../../../../src/experiments/circuits/points.js";
import { planSweep } from "../../../../src/plan/make-plan.js";
import type { Plan } from "../../../../src/plan/plan.js";

const BASE = `name: grids
model: { path: model }
saes: { path: saes }
dataset: { path: data/pairs.jsonl }
scores: [{ name: atp, method: atp }]
`;

async function planOf(text: string, base = BASE): Promise<Plan> {
  const source = { text: base + text, file: "sweep.yaml", baseFolder: resolve("test/fixtures/tiny-a") };
  return (await planSweep(REGISTER.experiments, source, { backend: "wasm", autoThreads: 1 })).plan;
}

const experiment = (fields: string, sets = "sets: { err: { kind: error, site: resid_post, at: -1 } }\n"): string =>
  `${sets}experiments:\n  - { name: x, ${fields} }\n`;

describe("a configuration on sets", () => {
  it.each([
    // Sets.
    ["ablate: er", "experiments[0].ablate: no set is called er (there are: err); name it under `sets`"],
    ["ablate: toString", "experiments[0].ablate: no set is called toString"],
    ["ablate: { set: err, minus: constructor }", "experiments[0].ablate: no set is called constructor"],
    ["ablate: { set: { set: er } }", "no set is called er"],
    ["ablate: { kind: error, layers: 4 }", "ablate.layers: the model has layers 0 to 3, got 4"],
    ["ablate: { kind: error, layers: 2..1 }", "ablate.layers: names no layer"],
    ["ablate: { kind: error, at: 7 }", "ablate.at: the kept prompts have at most 7 tokens"],
    ["ablate: { kind: error, at: [] }", "ablate.at: expected array to have >=1 items"],
    ["ablate: { kind: feature, features: [128] }", "ablate.features: there are features 0 to 127, got 128"],
    ["ablate: { kind: error, site: mlp_post }", "ablate: names no node: there are SAE errors at"],
    ["ablate: { kind: head }", "ablate.kind: circuits of this sweep are made of feature, error, and not of head nodes"],
    ["ablate: { kind: error_linear }", "ablate.kind: error_linear"],
    ["ablate: { kind: error, top: 3, by: relp }", "ablate.by: no scores are called relp"],
    ['ablate: { kind: error, where: "atp > 1" }', "a threshold is such as `abs >= 0.01`"],
    ["ablate: { kind: error, tops: 3 }", "unknown field; did you mean top?"],
    ["ablate: { set: err, at: 2 }", "ablate: names no node: the set that it starts from has none at these places"],
    ["ablate: { set: [err, err], kind: feature }", "ablate: names no node: the set that it starts from has none"],
    ["ablate: { set: { kind: error, layers: 9 }, at: 2 }", "ablate.layers: the model has layers 0 to 3, got 9"],
    ["ablate: { kind: feature, at: 2, match: { to: err, how: closest } }", "ablate.match: `to` has no node at a site"],
    // Parts of a configuration.
    ["restore: err", "experiments[0]: restores what nothing ablates; give `ablate` too"],
    ["keep: err, ablate: err", "experiments[0].ablate: `keep` ablates all else"],
    ["ablate: err, complement: true", "experiments[0].complement: a complement is that of what is kept"],
    ["ablate: err, beside: sum(relp)", "experiments[0].beside: no scores are called relp"],
    ["ablate: err, beside: atp", "experiments[0].beside: expected the sum of scores of what is ablated"],
    ["keep: err, beside: sum(atp)", "experiments[0].beside: adds up the scores of what `ablate` names"],
    ["ablate: err, figure: { x: K }", "experiments[0].figure.x: K is no axis of the grid; there are none"],
    ["ablate: err, figure: { kind: bars }", "experiments[0].figure.kind: expected one of"],
    ["ablate: err, figure: { kind: heatmap }", "experiments[0].figure.kind: a heatmap needs two axes"],
    ["ablate: err, figure: { x: nodes }", "experiments[0].figure.x: `nodes` are those that `keep` keeps"],
    ["grid: { K: [1] }, ablate: { set: err, top: $K }, figure: { x: K }", "figure.x: the axis K has one value"],
    [
      "grid: { K: [1, 2] }, ablate: { set: err, top: $K }, figure: { x: K, facets: K }",
      "experiments[0].figure.facets: K is `x` already",
    ],
    ["ablate: err, figure: { kind: lines }", "experiments[0].figure: no axis has more than one value, so there is"],
    [
      "grid: { K: [1, 2] }, ablate: { set: err, top: $K }, figure: { facets: K }",
      "experiments[0].figure: no axis has more than one value beside those of `facets`",
    ],
    [
      "grid: { K: [1, 2], R: [1, 2] }, ablate: { set: err, top: $K, layers: $R }, figure: { kind: heatmap, facets: K }",
      "figure.kind: a heatmap needs two axes with more than one value beside those of `facets`",
    ],
    [
      "grid: { K: [1, 2], R: [1, 2] }, keep: { set: err, top: $K, layers: $R }, figure: { kind: heatmap, x: nodes }",
      "experiments[0].figure.kind: the number of nodes runs along lines",
    ],
    ["ablate: err, contrast: { K: 1 - 2 }", "experiments[0].contrast.K: K is no axis of the grid"],
    [
      "grid: { K: [1, 2] }, ablate: { set: err, top: $K }, contrast: { K: 1 - 3 }",
      "experiments[0].contrast.K: K has no value 3; it has 1, 2",
    ],
    ["grid: { K: [1, 2] }, ablate: { set: err, top: $K }, contrast: { K: 1 - 1 }", "a value less itself is 0"],
    [
      "grid: { K: [1, 2] }, ablate: { set: err, top: $K }, contrast: { K: 1-2 }",
      "a contrast is two values of the axis",
    ],
    // Grids.
    ["grid: { K: [1, 2] }, ablate: err", "grid: the axis K is used nowhere; write $K where its values belong"],
    ["grid: { what: {} }, ablate: { set: $what }", "grid: the axis what has no value; name at least one"],
    [
      'ablate: { set: err, where: "abs > = x" }',
      "a threshold is such as `abs >= 0.01` or `score < 0`, or an axis such as $K, got",
    ],
    [
      "ablate: { set: err, match: { to: err, how: nearest } }",
      'how: expected one of "closest"|"closest_signed"|"committee"|"committee_by_sign", or an axis such as $K, got "nearest"',
    ],
    ["ablate: { set: err, layers: $W }", "grid: $W is no axis of the grid (there are none here)"],
    ["grid: { K: [1] }, ablate: { set: err, layers: $L }", "grid: $L is no axis of the grid (there are: K)"],
    ["grid: { W: { windows: 0..3, width: 5 } }, ablate: { set: err, layers: $W }", "a window of 5 is wider than 0..3"],
    [
      "grid: { W: { windows: 0..9, width: 5 } }, ablate: { set: err, layers: $W }",
      "the model has layers 0 to 3, got 4 (where W is 0-4)",
    ],
    ["grid: { W: 3..1 }, ablate: { set: err, layers: $W }", "grid: the range 3..1 falls"],
    [
      "grid: { prompt: [1] }, ablate: { set: err, layers: $prompt }",
      "grid.prompt: prompt is a column of every circuit",
    ],
    ["grid: { n_heads: [1] }, ablate: { set: err, layers: $n_heads }", "grid.n_heads: n_heads is a column of every"],
    ["grid: { K: [0, 1] }, ablate: { set: err, top: $K }", "ablate.top"],
    ["grid: { A: 0..4000, B: 0..4000 }, ablate: { set: err, layers: $A, top: $B }", "points; at most 20000 are taken"],
    ["grid: { s: { a: err } }, ablate: { set: err, where: 'abs >= $s' }", "experiments[0].ablate.where"],
  ])("is refused where it is %s", async (fields, message) => {
    await expect(planOf(experiment(fields))).rejects.toThrow(message);
    await expect(planOf(experiment(fields))).rejects.toThrow(/^sweep\.yaml:\d+: experiments\[0\]/);
  });

  it("names nodes that circuits are made of, without SAEs too", async () => {
    const bare = BASE.replace("saes: { path: saes }\n", "");
    const heads = `${bare}circuits: { nodes: heads, thresholds: [1] }\n`;
    const resid = experiment("ablate: { kind: site, site: resid_post }", "");
    await expect(planOf(resid, bare)).rejects.toThrow("names no node: there are whole sites at attn_z, mlp_out");
    const attention = experiment("ablate: { kind: site, site: attn_z }", "");
    await expect(planOf(attention, heads)).rejects.toThrow("names no node: there are whole sites at mlp_out");
    expect((await planOf(experiment("ablate: { site: attn_z }", ""), heads)).stages.map(({ id }) => id)).toContain(
      "sets",
    );
  });

  it("counts positions from one end where prompts have several lengths", async () => {
    const mixed = BASE.replace("pairs.jsonl", "pairs-mixed-lengths.jsonl");
    const minus = experiment("ablate: { kind: error, minus: err }");
    await expect(planOf(minus, mixed)).rejects.toThrow("ablate.minus: counts positions of blocks.0.hook_resid_post");
    const within = experiment("ablate: { set: { kind: error }, at: -1 }");
    await expect(planOf(within, mixed)).rejects.toThrow("ablate: names no node");
    for (const fine of [minus, within, experiment("ablate: { kind: error, at: [all, -1], minus: err }")])
      expect((await planOf(fine, fine.includes("all") ? mixed : BASE)).stages.map(({ id }) => id)).toContain("sets");
  });

  it("is refused where a set is made of itself, or a name is taken", async () => {
    const circle = "sets: { a: [b], b: { set: a } }\nexperiments: [{ name: x, ablate: a }]\n";
    await expect(planOf(circle)).rejects.toThrow("sets.a: is made of itself; take a out of what it is made of");
    const twice = "experiments: [{ name: x, ablate: { kind: error } }, { name: x, ablate: { kind: feature } }]\n";
    await expect(planOf(twice)).rejects.toThrow("experiments[1].name: the name x is used twice");
  });

  it("changes an error or its parts, never both", async () => {
    const fit = `${BASE}fit: { path: data/pairs.jsonl }\n`;
    const both = experiment("ablate: [err, { kind: error_linear, site: resid_post, layers: 1 }]");
    await expect(planOf(both, fit)).rejects.toThrow("and a part of it; name the node or its parts");
    const elsewhere = experiment(
      "ablate: { set: { kind: error }, layers: 1 }, restore: { kind: error_linear, layers: 2 }",
    );
    expect((await planOf(elsewhere, fit)).stages.map(({ id }) => id)).toContain("sets");
    const parts = experiment("ablate: { kind: [error_linear, error_nonlinear], site: resid_post, layers: 1 }");
    expect((await planOf(parts, fit)).stages.map(({ id }) => id)).toContain("sets");
  });
});

describe("the points of a sweep", () => {
  it("come axis by axis, the last fastest, each under a name of its own", async () => {
    const { sweep } = await planOf(
      experiment("grid: { R: { spans: 0..1, fixed: right }, K: [2, 1] }, ablate: { set: err, layers: $R, top: $K }"),
    );
    expect(pointsOf(sweep).map(({ circuit }) => circuit)).toEqual([
      "x[R=0-1,K=2]",
      "x[R=0-1,K=1]",
      "x[R=1-1,K=2]",
      "x[R=1-1,K=1]",
    ]);
  });

  it("are counted for an estimate, those that do the same once", async () => {
    const grid = "grid: { W: [{ spans: 0..2, fixed: left }, { spans: 0..2, fixed: right }], s: [err, all] }";
    const sets = "sets: { err: { kind: error, site: resid_post, at: -1 }, all: err }\n";
    const { sweep } = await planOf(experiment(`${grid}, ablate: { set: $s, layers: $W }`, sets));
    expect(pointCounts(sweep)).toEqual(["10 points of 1 experiment: x 10"]);
    const two = "experiments:\n  - { name: a, ablate: { kind: error } }\n  - { name: b, ablate: { kind: error } }\n";
    expect(pointCounts((await planOf(two)).sweep)).toEqual([
      "2 points of 2 experiments, 1 of them different: a 1, b 1",
    ]);
    expect(pointCounts((await planOf("circuits: {}\n")).sweep)).toEqual([]);
  });

  it("take a value of one axis within that of another, and the ablation from an axis of its name", async () => {
    const { sweep } = await planOf(
      experiment(
        "grid: { K: [1, 2], ablation: [zero, mean], what: { top: { set: err, top: $K }, all: err } }, ablate: $what",
      ),
    );
    const points = pointsOf(sweep);
    expect(points.map(({ configuration }) => configuration.ablation)).toEqual([
      "zero",
      "zero",
      "mean",
      "mean",
      "zero",
      "zero",
      "mean",
      "mean",
    ]);
    expect(points[0]?.configuration.ablate).toEqual({ set: "err", top: 1 });
    expect(points[4]?.configuration.ablate).toEqual({ set: "err", top: 2 });
    // What does not depend on an axis is resolved once.
    expect(setUses(sweep)).toHaveLength(3);
  });

  it("take indexes from axes, and a value once, be it a number or a text", async () => {
    const { sweep } = await planOf(
      experiment('grid: { F: [3, 4], t: [1, "1"] }, ablate: { kind: feature, features: [$F, 9], where: "abs >= $t" }'),
    );
    expect(pointsOf(sweep).map(({ circuit }) => circuit)).toEqual(["x[F=3,t=1]", "x[F=4,t=1]"]);
    expect(pointsOf(sweep)[1]?.configuration.ablate).toMatchObject({ features: [4, 9] });
  });

  it("ablate on both sides what the set that is kept by its name takes away", async () => {
    const sets = "sets: { circuit: { where: 'abs >= 1', minus: { kind: error } }, again: circuit }\n";
    for (const keep of ["circuit", "again", "{ where: 'abs >= 1', minus: { kind: error } }"]) {
      const { sweep } = await planOf(experiment(`keep: ${keep}, complement: true`, sets));
      const [point] = pointsOf(sweep);
      expect(point?.sets.without?.expression, keep).toEqual({ kind: "error" });
    }
  });

  it("and what the sets take away that a kept one starts from", async () => {
    const sets = "sets: { circuit: { where: 'abs >= 1', minus: { kind: error } } }\n";
    const withoutOf = async (keep: string): Promise<unknown> => {
      const { sweep } = await planOf(experiment(`keep: ${keep}, complement: true`, sets));
      return pointsOf(sweep)[0]?.sets.without?.expression;
    };
    expect(await withoutOf("{ set: circuit, top: 5 }")).toEqual({ kind: "error" });
    const both = await withoutOf("{ set: circuit, minus: { kind: feature, layers: 0 } }");
    expect(both).toEqual([{ kind: "feature", layers: 0 }, { kind: "error" }]);
    expect(await withoutOf("{ where: 'abs >= 1' }")).toBeUndefined();
  });
});
