/**
 * @file `node scripts/estimator-tables.js RUN`: how each score of a run agrees with the true effects, for each kind of node, by site,
 * by position and by layers, and its circuits, as Markdown tables with 95 % bootstrap intervals over prompts. Needs `npm run build`. The
 * tables of docs/results.
 *
 * Node means over prompts are compared, as in validation.json; a node enters where its mean score or mean effect is not 0.
 * `off` is the root of the summed squared differences of score and effect over the summed squared effects: 0 is exact, and a
 * score of 0 everywhere gives 1.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./install.js";

const load = (module) => import(join(ROOT, "dist", module));
const { nodeMeans, percentileInterval, resamplePrompts, timesOf } = await load("stats/bootstrap.js");
const { leastSquares, pearson, signAgreement, spearman } = await load("stats/correlation.js");
const { readParquet } = await load("artifacts/parquet.js");
const { formatShort, UNDEFINED } = await load("report/format-number.js");
const { nodeLabel, VARIANT_NAMES } = await load("report/labels.js");

const RESAMPLES = 1000;
const SITES = ["attn_z", "mlp_out", "resid_post"];
const LABELS = { atp: "AtP", relp: "RelP", ig: "IG" };
const labelOf = (score) => LABELS[score] ?? score;

const STATISTICS = {
  r: pearson,
  ρ: spearman,
  "same sign": signAgreement,
  slope: (score, effect) => leastSquares(score, effect).slope,
  off: (score, effect) => {
    const [error, size] = effect.reduce(([e, s], one, i) => [e + (one - score[i]) ** 2, s + one ** 2], [0, 0]);
    return Math.sqrt(error / size);
  },
};

/** The rows' columns as matrices of prompts by nodes, and the nodes. */
function truthOf(rows) {
  const columns = Object.keys(rows[0]);
  const scores = columns.slice(columns.indexOf("effect") + 1);
  const nodes = new Map();
  for (const row of rows) {
    const { hook, site, layer, position, feature, head } = row;
    const key = `${hook} ${position} ${feature} ${head}`;
    if (!nodes.has(key)) nodes.set(key, { site, layer, position, feature, head, rows: [] });
    nodes.get(key).rows[row.prompt] = row;
  }
  const list = [...nodes.values()];
  const prompts = Math.max(...list.map((node) => node.rows.length));
  const rowAt = (i) => list[i % list.length].rows[Math.floor(i / list.length)];
  const size = { length: prompts * list.length };
  const present = Uint8Array.from(size, (_, i) => (rowAt(i) === undefined ? 0 : 1));
  const matrixOf = (column) => ({
    prompts,
    nodes: list.length,
    values: Float64Array.from(size, (_, i) => Number(rowAt(i)?.[column] ?? 0)),
    present: present.includes(0) ? present : null,
  });
  const matrices = new Map(["effect", ...scores].map((name) => [name, matrixOf(name)]));
  return { nodes: list, prompts, scores, matrices };
}

/** Every statistic of a group of nodes, with its interval. */
function agreement(means, score, members) {
  const pick = (values) => Float64Array.from(members, (i) => values[i]);
  const at = (draw) => [pick(draw.get(score)), pick(draw.get("effect"))];
  return Object.entries(STATISTICS).map(([name, statistic]) => {
    const value = statistic(...at(means.estimate));
    const replicates = Float64Array.from(means.draws, (draw) => statistic(...at(draw)));
    return { name, ...percentileInterval(value, replicates) };
  });
}

/** Two digits, without a zero before the point. */
const format = (number) => (number === null || Number.isNaN(number) ? UNDEFINED : formatShort(number, 1));

const interval = ({ value, low, high }) => `${format(value)} [${format(low)}, ${format(high)}]`;

const printRow = (cells) => {
  console.log(`| ${cells.join(" | ")} |`);
};

function header(title, columns) {
  console.log(`\n### ${title}\n`);
  printRow(columns);
  printRow(columns.map(() => "---"));
}

/** Rows of one label, which stands in the first of them alone. */
function printGroup(label, rows) {
  for (const [i, cells] of rows.entries()) printRow([i === 0 ? label : "", ...cells]);
}

function table(truth, means, title, groups) {
  header(title, ["nodes", "score", "n", ...Object.keys(STATISTICS)]);
  for (const [label, keep] of groups) {
    const rows = truth.scores.flatMap((score) => {
      const [scored, effects] = [means.estimate.get(score), means.estimate.get("effect")];
      const members = [...truth.nodes.keys()].filter(
        (i) => keep(truth.nodes[i]) && (scored[i] !== 0 || effects[i] !== 0),
      );
      if (members.length < 3) return [];
      return [[labelOf(score), members.length, ...agreement(means, score, members).map(interval)]];
    });
    printGroup(label, rows);
  }
}

/** Score over effect, node by node, where the effect is not small. */
function shareTable(kind, truth, means) {
  const columns = truth.scores.map((score) => `${labelOf(score)} / effect`);
  header("Score as a share of the true effect, node by node (effects of at least 0.3)", ["node", "effect", ...columns]);
  truth.nodes.forEach(({ site, layer, position, feature, head }, i) => {
    const cell = (of) => interval(percentileInterval(of(means.estimate), Float64Array.from(means.draws, of)));
    if (Math.abs(means.estimate.get("effect")[i]) < 0.3) return;
    const shares = truth.scores.map((score) => cell((draw) => draw.get(score)[i] / draw.get("effect")[i]));
    const within = kind === "site" ? "" : `, ${nodeLabel({ kind, feature, head })}`;
    const effect = cell((draw) => draw.get("effect")[i]);
    printRow([`${site} ${layer}, position ${position}${within}`, effect, ...shares]);
  });
}

/** The statistics of validation.json that speak of all nodes which those measured were drawn from. */
function weightedTable(groups) {
  const columns = { r: "pearson", ρ: "spearman", "same sign": "sign_agreement", slope: "slope" };
  header("By site, weighted by the inverse of the chance to be drawn", [
    "nodes",
    "score",
    "n",
    ...Object.keys(columns),
  ]);
  for (const site of SITES) {
    const ofSite = groups.filter((group) => group.site === site);
    const cellsOf = (weighted) => Object.values(columns).map((name) => interval(weighted[name]));
    printGroup(
      site,
      ofSite.map(({ score, n, weighted }) => [labelOf(score), n, ...cellsOf(weighted)]),
    );
  }
}

/** The layers of a third of the model that have nodes. */
function layersLabel(nodes, from, to) {
  const layers = [...new Set(nodes.map(({ layer }) => layer))]
    .filter((layer) => layer >= from && layer <= to)
    .sort((a, b) => a - b);
  const all = layers.length > 1 && layers.length === to - from + 1;
  return `layer${layers.length > 1 ? "s" : ""} ${all ? `${layers[0]}–${layers.at(-1)}` : layers.join(", ")}`;
}

function tables(kind, rows, groups) {
  console.log(`\n## Nodes of kind ${kind}`);
  if (kind === "feature") weightedTable(groups); // Nodes of the other kinds are not drawn: all have weight 1.
  const truth = truthOf(rows);
  const resamples = resamplePrompts(truth.prompts, RESAMPLES, 0);
  const meansOf = (times) => new Map([...truth.matrices].map(([name, matrix]) => [name, nodeMeans(matrix, times)]));
  const draws = Array.from({ length: RESAMPLES }, (_, index) => meansOf(timesOf(resamples, index)));
  const means = { estimate: meansOf(null), draws };
  const layers = 1 + Math.max(...truth.nodes.map(({ layer }) => layer));
  const positions = [...new Set(truth.nodes.map(({ position }) => position))].sort((a, b) => a - b);
  const thirds = [0, 1, 2].map((k) => [Math.floor((k * layers) / 3), Math.floor(((k + 1) * layers) / 3) - 1]);
  table(
    truth,
    means,
    "By site",
    SITES.map((site) => [site, (node) => node.site === site]),
  );
  table(
    truth,
    means,
    "By site and position",
    SITES.flatMap((site) =>
      positions.map((position) => [
        `${site}, position ${position}`,
        (node) => node.site === site && node.position === position,
      ]),
    ),
  );
  table(
    truth,
    means,
    "By site and layers",
    SITES.flatMap((site) =>
      thirds.map(([from, to]) => [
        `${site}, ${layersLabel(truth.nodes, from, to)}`,
        (node) => node.site === site && node.layer >= from && node.layer <= to,
      ]),
    ),
  );
  shareTable(kind, truth, means);
}

/** Sizes kept, then faithfulness of each variant. */
function circuitTable(circuits) {
  const sizes = {
    features: "n_features",
    "errors of `resid_post`": "n_errors_resid",
    "errors of the others": "n_errors_other",
    sites: "n_sites",
    heads: "n_heads",
  };
  const kept = Object.entries(sizes).filter(([, column]) => circuits.some((row) => row[column] > 0));
  const variants = [...new Set(circuits.map(({ variant }) => variant))];
  const shown = (row, name) => interval({ value: row[name], low: row[`${name}_low`], high: row[`${name}_high`] });
  console.log("\n## Circuits");
  header("Faithfulness by variant, completeness of `all`", [
    "score at least",
    ...kept.map(([label]) => label),
    ...variants.map((variant) => VARIANT_NAMES[variant]),
    "completeness",
  ]);
  for (const row of circuits.filter(({ variant }) => variant === "all")) {
    const same = (variant) => circuits.find((one) => one.variant === variant && one.threshold === row.threshold);
    const sizeCells = kept.map(([, column]) => row[column].toLocaleString("en"));
    const cells = variants.map((variant) => shown(same(variant), "faithfulness"));
    printRow([row.threshold.toPrecision(2), ...sizeCells, ...cells, shown(row, "completeness")]);
  }
}

const artifact = (name) => join(process.argv[2], "artifacts", name);
const { rows } = await readParquet(artifact("truth.parquet"));
const { groups } = JSON.parse(readFileSync(artifact("validation.json"), "utf8"));
for (const kind of new Set(rows.map((row) => row.kind)))
  tables(
    kind,
    rows.filter((row) => row.kind === kind),
    groups.filter((group) => group.kind === kind && group.position === null && !group.global),
  );
if (existsSync(artifact("circuits.parquet"))) circuitTable((await readParquet(artifact("circuits.parquet"))).rows);
