/**
 * @file How often the report's intervals hold the truth: `node bench/coverage/coverage-bench.js --run DIR`.
 *
 * 1. DIR is a run of table.yaml: every feature that differs was patched, so a frame's statistics over all its prompts are known.
 * 2. A sample draws clusters of that run's prompts with replacement, then nodes of each layer as a sweep does: the strongest by score on
 *    these prompts, and a stratified random part of the rest. The same code as a run's computes its intervals.
 * 3. Printed is the share of samples whose interval holds the known value, for numbers of clusters and of nodes. It is nominally .95.
 *
 * Error nodes are all measured, and circuits have no nodes: there only prompts are drawn. It writes coverage.json.
 */
import { parseArgs } from "node:util";
import { join } from "node:path";
import { readFile } from "node:fs/promises";
import { decodeParquet } from "../../dist/artifacts/parquet.js";
import { createRng } from "../../dist/base/rng.js";
import { sampledNodes, strongestNodes } from "../../dist/nodes/choose-nodes.js";
import { resampleClusters } from "../../dist/stats/bootstrap.js";
import { clusterMeans, clusterSums, clustersOf } from "../../dist/stats/clusters.js";
import { exceedingShare } from "../../dist/stats/exceedance.js";
import { ratioOfMeans, replicatedRatio } from "../../dist/stats/ratio.js";
import { simultaneousIntervals, UNBOUNDED } from "../../dist/stats/simultaneous.js";
import { differenceOf, validateFamily } from "../../dist/stats/validation.js";
import { round } from "../figures.js";
import { machineFacts, RESULTS_OPTION, writeResults } from "../results.js";

const { values: flags } = parseArgs({
  options: {
    run: { type: "string" },
    samples: { type: "string", default: "200" },
    resamples: { type: "string", default: "400" },
    clusters: { type: "string", default: "10,20,50,200" },
    only: { type: "string", default: "all" }, // "circuits": them alone
    name: { type: "string", default: "coverage" },
    results: RESULTS_OPTION,
  },
});
if (flags.run === undefined) throw new Error("--run DIR is missing: the folder of a run of bench/coverage/table.yaml");
const [SAMPLES, RESAMPLES] = [Number(flags.samples), Number(flags.resamples)];
const CLUSTERS = flags.clusters.split(",").map(Number);
const NODES = [20, 50];
const STATISTICS = /** @type {const} */ (["pearson", "spearman", "kendall", "sign_agreement", "slope", "size_ratio", "off", "top_k_overlap"]); // prettier-ignore
const SCORES = ["atp", "relp"];

const artifact = async (name) => (await decodeParquet(await readFile(join(flags.run, "artifacts", name)))).rows;
const clusterNames = (await artifact("prompts.parquet")).map((row) => String(row["cluster"]));
const families = familiesOf(await artifact("truth.parquet"));
const circuits = circuitsOf(await artifact("circuits-prompts.parquet"));
const results = [];
for (const count of CLUSTERS) {
  if (flags.only !== "circuits") {
    for (const nodes of NODES) measure(`features, ${nodes} + ${nodes} of each layer`, count, "feature", nodes);
    measure("errors, all measured", count, "error", null);
  }
  measureCircuits(count);
}
const command = ["node bench/coverage/coverage-bench.js", ...process.argv.slice(2)].join(" ");
writeResults(flags.results, flags.name, { machine: machineFacts(), command, samples: SAMPLES, resamples: RESAMPLES, results }); // prettier-ignore

/** Effects and scores of each site's nodes of a kind, `[P, N]`. */
function familiesOf(rows) {
  const found = new Map();
  for (const row of rows) {
    const name = `${row["kind"]} ${row["site"]}`;
    const family = found.get(name) ?? { kind: row["kind"], site: row["site"], nodes: new Map(), cells: [] };
    found.set(name, family);
    const key = `${row["layer"]} ${row["position"]} ${row["feature"]}`;
    if (!family.nodes.has(key)) family.nodes.set(key, { number: family.nodes.size, layer: row["layer"], position: row["position"], index: Math.max(0, row["feature"]) }); // prettier-ignore
    family.cells.push([family.nodes.get(key).number, row["prompt"], row["effect"], ...SCORES.map((name) => row[name])]);
  }
  return [...found.values()].map(({ kind, site, nodes, cells }) => {
    const size = clusterNames.length * nodes.size;
    const matrices = [0, ...SCORES.map((_, s) => s + 1)].map(() => new Float64Array(size));
    for (const [node, prompt, ...values] of cells)
      values.forEach((value, m) => (matrices[m][prompt * nodes.size + node] = value));
    return { kind, site, nodes: [...nodes.values()], matrices };
  });
}

/** Per prompt, both sides added: numerators and denominators of each circuit's faithfulness. */
function circuitsOf(rows) {
  const found = new Map();
  for (const row of rows) {
    const circuit = found.get(row["circuit"]) ?? { above: new Float64Array(clusterNames.length), below: new Float64Array(clusterNames.length) }; // prettier-ignore
    found.set(row["circuit"], circuit);
    circuit.above[row["prompt"]] += row["metric_circuit"] - row["metric_empty"];
    circuit.below[row["prompt"]] += row["metric_full"] - row["metric_empty"];
  }
  return [...found.values()];
}

/** Prompts of `count` clusters that are drawn with replacement: their numbers, and the clusters that they form in the sample. */
function drawPrompts(rng, count) {
  const all = clustersOf(clusterNames);
  const members = Array.from({ length: all.count }, () => []);
  all.of.forEach((cluster, prompt) => members[cluster].push(prompt));
  const drawn = Array.from({ length: count }, () => members[rng.int(all.count)]);
  return { prompts: drawn.flat(), clusters: clustersOf(drawn.flatMap((own, c) => own.map(() => String(c)))) };
}

function measure(label, count, kind, nodesOfEach) {
  const tally = newTally();
  for (const family of families.filter((one) => one.kind === kind)) {
    const truth = known(family);
    for (let sample = 0; sample < SAMPLES; sample++) addSample(tally, family, truth, { sample, count, nodesOfEach });
  }
  report(label, count, tally);
}

function newTally() {
  const shares = new Map();
  return {
    add(name, low, high, value) {
      const share = shares.get(name) ?? { held: 0, given: 0, widths: 0 };
      shares.set(name, share);
      if (low === null || high === null || !Number.isFinite(value)) return;
      share.given++;
      share.widths += high - low;
      if (low <= value + 1e-12 && value - 1e-12 <= high) share.held++;
    },
    shares,
  };
}

/** Statistics of the whole frame over all prompts. */
function known({ nodes, matrices }) {
  const all = clustersOf(clusterNames.map(() => undefined));
  const members = entering(matrices, clusterNames.length, nodes.length);
  const found = validateFamily({
    truth: matrix(matrices[0], clusterNames.length, nodes.length),
    scores: matrices.slice(1).map((values) => matrix(values, clusterNames.length, nodes.length)),
    clusters: all,
    design: { weights: new Float64Array(nodes.length).fill(1), strata: nodes.map(() => "all") },
    groups: [members],
    seed: 0,
    resamples: 0,
  }).map(([one]) => one);
  return { found, effects: clusterMeans(clusterSums(matrix(matrices[0], clusterNames.length, nodes.length), all), null), members }; // prettier-ignore
}

function matrix(values, prompts, nodes) {
  return { prompts, nodes, values, present: null };
}

/** Nodes whose mean effect or score is not 0. */
function entering(matrices, prompts, nodes) {
  return Array.from({ length: nodes }, (_, n) => n).filter((n) =>
    matrices.some((values) => {
      for (let p = 0; p < prompts; p++) if (values[p * nodes + n] !== 0) return true;
      return false;
    }),
  );
}

function addSample(tally, family, truth, { sample, count, nodesOfEach }) {
  const rng = createRng(sample, "coverage", family.site, count, nodesOfEach ?? 0);
  const { prompts, clusters } = drawPrompts(rng, count);
  const chosen = nodesOfEach === null ? everyNode(truth) : chooseNodes(family, truth, { prompts, nodesOfEach, sample });
  const rows = chosen.map(({ number }) => number);
  const matrices = family.matrices.map((values) =>
    matrix(
      Float64Array.from({ length: prompts.length * rows.length }, (_, i) => values[prompts[Math.floor(i / rows.length)] * family.nodes.length + rows[i % rows.length]]), // prettier-ignore
      prompts.length,
      rows.length,
    ),
  );
  const design = { weights: Float64Array.from(chosen, ({ probability }) => 1 / probability), strata: chosen.map(({ stratum }) => stratum) }; // prettier-ignore
  const members = rows.map((_, i) => i);
  const found = validateFamily({ truth: matrices[0], scores: matrices.slice(1), clusters, design, groups: [members], seed: sample, resamples: RESAMPLES }).map(([one]) => one); // prettier-ignore
  SCORES.forEach((_, s) => {
    for (const name of STATISTICS) {
      const { low, high } = found[s].frame[name];
      tally.add(name, low, high, truth.found[s].frame[name].value ?? Number.NaN);
    }
  });
  const difference = differenceOf(found[0], found[1], "pearson", clusters.count);
  tally.add("difference of pearson", difference.low, difference.high, truth.found[0].frame.pearson.value - truth.found[1].frame.pearson.value); // prettier-ignore
  const held = simultaneousIntervals(SCORES.map((_, s) => ({ value: found[s].frame.pearson.value ?? Number.NaN, replicates: found[s].replicates.pearson })), clusters.count); // prettier-ignore
  held.forEach((one, s) => { tally.add("pearson, of two at once", one?.low ?? null, one?.high ?? null, truth.found[s].frame.pearson.value); }); // prettier-ignore
  if (nodesOfEach !== null) addFrameSample(tally, truth, chosen);
}

/** The bound on what was not measured. */
function addFrameSample(tally, truth, chosen) {
  const size = [...truth.effects].map(Math.abs).sort((a, b) => b - a)[9];
  const sampled = chosen.filter(({ probability }) => probability < 1);
  const strata = new Map();
  for (const one of sampled) strata.set(one.stratum, [...(strata.get(one.stratum) ?? []), one]);
  const bound = exceedingShare(
    [...strata.values()].map((own) => ({ size: own.length / own[0].probability, drawn: own.length })),
    sampled.filter(({ number }) => Math.abs(truth.effects[number]) > size).length,
  );
  const rest = truth.members.filter(
    (n) => !chosen.some(({ number, probability }) => number === n && probability === 1),
  );
  tally.add("share above a size, at most", 0, bound, rest.filter((n) => Math.abs(truth.effects[n]) > size).length / rest.length); // prettier-ignore
}

function everyNode({ members }) {
  return members.map((number) => ({ number, probability: 1, stratum: "all" }));
}

/** As a sweep chooses: in each layer the strongest by the first score on the sample's prompts, and a part of the rest. */
function chooseNodes({ nodes, matrices }, { members }, { prompts, nodesOfEach, sample }) {
  const mean = (n) => prompts.reduce((sum, p) => sum + matrices[1][p * nodes.length + n], 0) / prompts.length;
  const layers = [...new Set(nodes.map(({ layer }) => layer))];
  return layers.flatMap((layer) => {
    const frame = members.filter((n) => nodes[n].layer === layer).map((n) => ({ ...nodes[n], score: mean(n) }));
    const top = strongestNodes(frame, nodesOfEach);
    const taken = new Set(top.map((one) => /** @type {any} */ (one).number));
    const rest = frame.filter(({ number }) => !taken.has(number));
    const random = sampledNodes(rest, { random: nodesOfEach, strata: "magnitude", seed: sample, label: String(layer) });
    return [...top, ...random].map((one) => ({
      number: /** @type {any} */ (one).number,
      probability: one.inclusionProbability,
      stratum: `${layer} ${one.stratum}`,
    }));
  });
}

function measureCircuits(count) {
  const tally = newTally();
  for (let sample = 0; sample < SAMPLES; sample++) {
    const { prompts, clusters } = drawPrompts(createRng(sample, "coverage of circuits", count), count);
    const resamples = resampleClusters(clusters, RESAMPLES, sample);
    const pick = (values) => Float64Array.from(prompts, (p) => values[p]);
    const total = (values) => values.reduce((a, b) => a + b, 0);
    const known = circuits.map(({ above, below }) => total(above) / total(below));
    circuits.forEach(({ above, below }, c) => {
      const { low, high } = ratioOfMeans(pick(above), pick(below), resamples);
      tally.add("faithfulness", low, high, known[c]);
    });
    const ratios = circuits.map(({ above, below }) =>
      replicatedRatio({ numerator: pick(above), denominator: pick(below) }, resamples),
    );
    if (ratios.includes(null)) continue;
    const bounds = simultaneousIntervals(/** @type {any} */ (ratios), clusters.count, UNBOUNDED);
    const isHeld = bounds.every((bound, c) => bound === null || (bound.low <= known[c] && bound.high >= known[c]));
    tally.add("faithfulness of all circuits at once", 0, isHeld ? 1 : -1, 0);
  }
  report("circuits", count, tally);
}

function report(label, clusters, tally) {
  const shares = Object.fromEntries([...tally.shares].map(([name, { held, given, widths }]) => [name, { coverage: round(held / given), intervals: given, mean_width: round(widths / given) }])); // prettier-ignore
  results.push({ label, clusters, shares });
  const text = Object.entries(shares).map(([name, { coverage }]) => `${name} ${coverage}`);
  console.log(`${clusters} clusters, ${label}: ${text.join(", ")}`);
}
