/**
 * @file The engine's programs on a random model of a named size, as tasks that can be timed: used by torch-bench.js and by bench/peers.
 */
import { existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import { computeCircuits } from "../../dist/experiments/circuits/circuits.js";
import { computeMeans } from "../../dist/experiments/means/means.js";
import { computeScores } from "../../dist/experiments/scores/scores.js";
import { openSpliced } from "../../dist/passes/spliced-model.js";
import { atp } from "../../dist/methods/atp.js";
import { computeTruth } from "../../dist/experiments/truth/truth.js";
import { createRunCache } from "../../dist/experiments/truth/unpatched-runs.js";
import { siteHook } from "../../dist/nodes/site.js";
import { blocksFor, DEFAULT_BLOCK_MIB } from "../../dist/plan/blocks.js";
import { openCheckpoint } from "../../dist/weights/checkpoint.js";
import { findSaes } from "../../dist/weights/sae-folder.js";
import { matricesFor } from "../../dist/backends/torch-matrices.js";
import { makeCheckpoint, randomPrompts, SIZES } from "../models/make-checkpoint.js";

const ATP = { score: { name: "atp", method: "atp" }, method: atp };

export const TOKENS = 7;
export const BLOCK_MIB = DEFAULT_BLOCK_MIB;
/** Node counts of the circuits that are evaluated together, nested. */
const CIRCUIT_NODES = [10, 100, 1000, 10_000];
export const CIRCUIT_PROMPTS = 16;

/** Makes the folder of a random model and its SAEs unless it is there. */
export async function ensureCheckpoint(size, folder) {
  if (existsSync(join(folder, "saes"))) return;
  await makeCheckpoint(size, `${folder}.part`);
  renameSync(`${folder}.part`, folder);
}

/** Block shapes of the plan for this size. */
export function blocksOf(size, config) {
  return blocksFor({ config, dSae: SIZES[size].features, positions: TOKENS }, BLOCK_MIB);
}

/**
 * Loads the model of a folder on the backend that runs, and makes its tasks: `[unit, run]` by name; `run` gives units, and values when they are asked for.
 * @param {import("../../dist/backends/torch-matrices.js").ComputeType} dtype
 */
export async function openTasks(size, folder, dtype = "float32") {
  const checkpoint = await openCheckpoint(join(folder, "model"));
  const entries = await findSaes(join(folder, "saes"), checkpoint.config);
  const spliced = await openSpliced(checkpoint, entries, Infinity, matricesFor(dtype));
  const { model } = spliced;
  const placed = spliced.saes.map(({ site, layer, sae }) => ({ site, layer, sae: sae.now() }));
  const blocks = blocksOf(size, model.config);
  const prompts = randomPrompts(blocks.prompts, SIZES[size].vocabulary);
  const nodes = { error: errorNodes(placed), feature: await featureNodes(spliced, prompts) };
  let means = null;

  const kept = createRunCache();

  // As in an engine of the cluster: the unpatched runs and the errors' differences are computed once for a block of prompts.
  const truth = async (kind) => {
    const { metricPatched, ran } = await computeTruth(spliced, prompts, "max", nodes[kind], blocks.truthRows, {
      cache: kept,
    });
    return { units: ran.reduce((sum, one) => sum + one, 0), values: () => metricPatched };
  };
  const parts = circuitParts(size, placed.length);
  const interventions = {};
  // What a circuit keeps is given, as means are: both are made in the first call, which is not in the time.
  const circuits = async (name) => {
    const few = prompts.slice(0, CIRCUIT_PROMPTS);
    interventions[name] ??= parts[name].map((part) => interventionOf(part, placed));
    means ??= meansOf(await computeMeans(spliced, few, "max"), placed, few);
    const ablation = /** @type {const} */ ({ kind: "mean", means });
    const { metric } = await computeCircuits(spliced, few, {
      reduce: "max",
      interventions: interventions[name],
      ablation,
      rowsPerBlock: blocks.circuitRows,
    });
    return { units: parts[name].length * 2 * few.length, values: () => metric };
  };
  /** @type {Record<string, [unit: string, run: () => Promise<{ units: number, values: () => Iterable<number> }>]>} */
  const tasks = {
    means: [
      "prompt rows/s",
      async () => {
        const found = await computeMeans(spliced, prompts, "max");
        return { units: 2 * prompts.length, values: () => meanValues(found, placed, prompts) };
      },
    ],
    atp: [
      "prompts/s",
      async () => {
        const scores = await computeScores(spliced, prompts, { ...ATP, reduce: "max" });
        return { units: prompts.length, values: () => scoreValues(scores, placed, prompts) };
      },
    ],
    "truth, error nodes": ["node-prompts/s", () => truth("error")],
    "truth, feature nodes": ["node-prompts/s", () => truth("feature")],
    circuits: ["circuit x prompt rows/s", () => circuits("some errors")],
    "circuits, errors kept": ["circuit x prompt rows/s", () => circuits("all errors")],
  };
  const close = async () => {
    kept.dispose();
    spliced.dispose();
    await checkpoint.close();
  };
  return { config: model.config, blocks, prompts, nodes, parts, tasks, close };
}

/** Error nodes of all sites at the positions where the prompts differ. */
function errorNodes(placed) {
  return placed.flatMap(({ site, layer }) =>
    Array.from({ length: TOKENS - 2 }, (_, i) => ({
      kind: "error",
      site,
      layer,
      position: i + 2,
    })),
  );
}

/** Features that change on some prompt, 24 of each site. */
async function featureNodes(spliced, prompts) {
  const few = prompts.slice(0, 4);
  const scores = await computeScores(spliced, few, { ...ATP, reduce: "max" });
  return spliced.saes.flatMap(({ site, layer, sae }) => {
    const { index } = scores.feature.get(siteHook({ site, layer }));
    const step = Math.max(1, Math.floor(index.length / 24));
    const mine = [...index].filter((_, i) => i % step === 0).slice(0, 24);
    return mine.map((flat) => {
      const [position, feature] = [Math.floor(flat / sae.now().dSae), flat % sae.now().dSae];
      return { kind: "feature", site, layer, position, feature };
    });
  });
}

/** Circuits as shares of the nodes: `[share of features kept, share of errors kept]`. */
function circuitParts(size, sites) {
  const all = sites * TOKENS * (SIZES[size].features + 1);
  const shares = CIRCUIT_NODES.map((count) => count / all);
  return { "some errors": shares.map((share) => [share, share]), "all errors": shares.map((share) => [share, 1]) };
}

/** A pseudo-random number in [0, 1) for node `i` of a site; equal to `rank` of peers.py. */
const rank = (site, i) => (((i + 1) * 2654435761 + 97 * site) % 4294967296) / 4294967296;

function interventionOf([share, errorShare], placed) {
  const entries = placed.map(({ site, layer, sae }, s) => {
    const features = Uint8Array.from({ length: TOKENS * sae.dSae }, (_, i) => (rank(s, i) < share ? 0 : 1));
    const errors = Uint8Array.from({ length: TOKENS }, (_, t) => (rank(s + 1000, t) < errorShare ? 0 : 1));
    return [siteHook({ site, layer }), { features, errors, slices: new Uint8Array(0) }];
  });
  return new Map(entries);
}

/** The sums of a block as means. */
function meansOf({ features, errors }, placed, prompts) {
  const runs = 2 * prompts.length;
  const means = { features: new Map(), errors: new Map() };
  for (const { site, layer, sae } of placed) {
    const hook = siteHook({ site, layer });
    const { index, sum } = features.get(hook);
    const dense = new Float32Array(TOKENS * sae.dSae);
    index.forEach((flat, i) => (dense[flat] = sum[i] / runs));
    means.features.set(hook, dense);
    means.errors.set(
      hook,
      Float32Array.from(errors.get(hook), (value) => value / runs),
    );
  }
  return means;
}

/** Sums over features of the means, then over widths of the errors' magnitudes: sites x positions each. */
function meanValues(result, placed, prompts) {
  const { features, errors } = meansOf(result, placed, prompts);
  const sums = (all, size) =>
    placed.flatMap((at) => {
      const values = all.get(siteHook(at));
      const width = values.length / TOKENS;
      return Array.from({ length: TOKENS }, (_, t) => values.subarray(t * width, (t + 1) * width).reduce(size, 0));
    });
  return [...sums(features, (sum, x) => sum + x), ...sums(errors, (sum, x) => sum + Math.abs(x))];
}

/** Error scores, then sums over features of the feature scores: sites x prompts x positions each. */
function scoreValues({ error: errors, feature: features }, placed, prompts) {
  const sums = placed.flatMap((at) => {
    const { pointer, index, value } = features.get(siteHook(at));
    const total = new Float64Array(prompts.length * TOKENS);
    for (let p = 0; p < prompts.length; p++)
      for (let i = pointer[p]; i < pointer[p + 1]; i++)
        total[p * TOKENS + Math.floor(index[i] / at.sae.dSae)] += value[i];
    return [...total];
  });
  return [...placed.flatMap((at) => [...errors.get(siteHook(at))]), ...sums];
}
