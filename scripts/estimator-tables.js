/**
 * @file `node scripts/estimator-tables.js RUN`: how each score of a run agrees with the true effects, for each kind of node, by site,
 * by position and by layers, as Markdown tables with 95 % bootstrap intervals over prompts. Needs `npm run build`. The tables of docs/results.
 *
 * Node means over prompts are compared, as in validation.json; a node enters where its mean score or mean effect is not 0.
 * `off` is the root of the summed squared differences of score and effect over the summed squared effects: 0 is exact, and a
 * score of 0 everywhere gives 1.
 */
import { join } from "node:path";
import { ROOT } from "./install.js";

const load = (module) => import(join(ROOT, "dist", module));
const { nodeMeans, percentileInterval, resamplePrompts, timesOf } = await load("stats/bootstrap.js");
const { leastSquares, pearson, signAgreement, spearman } = await load("stats/correlation.js");
const { readParquet } = await load("reduce/parquet.js");

const RESAMPLES = 1000;
const SITES = ["attn_z", "mlp_out", "resid_post"];

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

const format = (number) => (number === null || Number.isNaN(number) ? "–" : number.toFixed(2).replace("-", "−"));

function table(truth, means, title, groups) {
  console.log(`\n### ${title}\n`);
  console.log(`| nodes | score | n | ${Object.keys(STATISTICS).join(" | ")} |`);
  console.log(`| --- | --- | --- |${" --- |".repeat(Object.keys(STATISTICS).length)}`);
  for (const [label, keep] of groups)
    for (const score of truth.scores) {
      const [scored, effects] = [means.estimate.get(score), means.estimate.get("effect")];
      const members = [...truth.nodes.keys()].filter(
        (i) => keep(truth.nodes[i]) && (scored[i] !== 0 || effects[i] !== 0),
      );
      if (members.length < 3) continue;
      const cells = agreement(means, score, members).map(
        ({ value, low, high }) => `${format(value)} [${format(low)}, ${format(high)}]`,
      );
      console.log(`| ${label} | ${score} | ${members.length} | ${cells.join(" | ")} |`);
    }
}

/** Score over effect, node by node, where the effect is not small. */
function shareTable(truth, means) {
  console.log("\n### Score as a share of the true effect, node by node (effects of at least 0.3)\n");
  console.log(`| node | effect | ${truth.scores.map((score) => `${score} / effect`).join(" | ")} |`);
  console.log(`| --- | --- |${" --- |".repeat(truth.scores.length)}`);
  truth.nodes.forEach(({ site, layer, position, feature, head }, i) => {
    const cell = (of) => {
      const { value, low, high } = percentileInterval(of(means.estimate), Float64Array.from(means.draws, of));
      return `${format(value)} [${format(low)}, ${format(high)}]`;
    };
    if (Math.abs(means.estimate.get("effect")[i]) < 0.3) return;
    const shares = truth.scores.map((score) => cell((draw) => draw.get(score)[i] / draw.get("effect")[i]));
    const unit = feature >= 0 ? `, feature ${feature}` : head >= 0 ? `, head ${head}` : "";
    const effect = cell((draw) => draw.get("effect")[i]);
    console.log(`| ${site} ${layer}, position ${position}${unit} | ${effect} | ${shares.join(" | ")} |`);
  });
}

function tables(kind, rows) {
  console.log(`\n## Nodes of kind ${kind}`);
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
        `${site}, layers ${from}–${to}`,
        (node) => node.site === site && node.layer >= from && node.layer <= to,
      ]),
    ),
  );
  shareTable(truth, means);
}

const { rows } = await readParquet(join(process.argv[2], "artifacts", "truth.parquet"));
for (const kind of new Set(rows.map((row) => row.kind)))
  tables(
    kind,
    rows.filter((row) => row.kind === kind),
  );
