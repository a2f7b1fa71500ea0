/**
 * @file Scores of every node for a block of prompts: AtP, zero ablation, integrated gradients.
 *
 * The three differ in the gradient (at the clean run, or its mean along a line) and in the donor (the corrupted run, or
 * zero); everything else is shared. Each prompt's gradient is that of its own metric, so scores do not depend on how many
 * prompts a block has.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import type { MetricReduce, Prompt } from "../circuit/prompt.js";
import { nodeHook, siteHook, type SiteAt } from "../circuit/site.js";
import { AUTODIFF_RULES } from "../model/backward-rules.js";
import { loadAnswers, type Answers } from "../model/metric.js";
import { withScope } from "../model/tensor-scope.js";
import type { ScoreSpec } from "../plan/sweep.js";
import { visitGradients, type GradientVisitor } from "./backward.js";
import type { OnProgress } from "./breathe.js";
import { captureRun, type Run } from "./capture.js";
import { componentsOf } from "./components.js";
import { visitMeanGradients } from "./integrated-gradients.js";
import { checkRun, firstNonFinite, locateInRun, nonFinite } from "./non-finite.js";
import type { Components, ScoresResult, SparseRows } from "./results.js";
import { dotScores, featureScores, nodeChanges, rowProducts, siteDelta, type FeatureChanges } from "./site-scores.js";
import type { SplicedModel } from "./spliced-model.js";

/** The runs that scores compare; zero ablation has no corrupted one. */
interface Runs {
  readonly clean: Run;
  readonly corrupted: Run | null;
}

interface Collected {
  readonly features: Map<string, SparseRows>;
  readonly errors: Map<string, Float32Array>;
  readonly sites: Map<string, Float32Array>;
  readonly heads: Map<string, Float32Array>;
  readonly components: Map<string, Components>;
}

/**
 * Scores of all nodes for prompts of one length. Components are filled for AtP only.
 *
 * @throws PatchbayError `non_finite` naming layer, site and prompt line.
 */
export async function computeScores(
  spliced: SplicedModel,
  prompts: readonly Prompt[],
  reduce: MetricReduce,
  score: ScoreSpec,
  onProgress?: OnProgress,
): Promise<ScoresResult> {
  const { model } = spliced;
  return await withScope(async (own) => {
    const answers = own(await loadAnswers(model.embedding, prompts, reduce));
    const clean = own(await captureRun(model, prompts, "clean", answers));
    const corrupted = score.method === "zero" ? null : own(await captureRun(model, prompts, "corrupted", answers));
    for (const run of [clean, corrupted]) if (run !== null) await checkRun(run, model.config.nLayers, prompts);
    const collected: Collected = {
      features: new Map(),
      errors: new Map(),
      sites: new Map(),
      heads: new Map(),
      components: new Map(),
    };
    const total = 3 * model.config.nLayers;
    let done = 0;
    await visitSiteGradients(spliced, { clean, corrupted }, answers, score, async (at, gradient_RD) => {
      await scoreSite(spliced, prompts, { clean, corrupted }, at, gradient_RD, score.method === "atp", collected);
      onProgress?.(++done, total);
    });
    return collected;
  });
}

async function visitSiteGradients(
  { model }: SplicedModel,
  { clean, corrupted }: Runs,
  answers: Answers,
  score: ScoreSpec,
  visit: GradientVisitor,
): Promise<void> {
  if (score.method !== "ig") {
    await visitGradients(model, clean, answers, AUTODIFF_RULES, visit);
    return;
  }
  const runs = { clean, corrupted: must(corrupted, "corrupted run") };
  await visitMeanGradients(model, runs, answers, score.steps, AUTODIFF_RULES, visit);
}

/** Scores one site's nodes into `into`. */
async function scoreSite(
  spliced: SplicedModel,
  prompts: readonly Prompt[],
  runs: Runs,
  at: SiteAt,
  gradient_RD: Tensor,
  withComponents: boolean,
  into: Collected,
): Promise<void> {
  await withScope(async (own) => {
    const clean_RD = runs.clean.site(at);
    const donor_RD = runs.corrupted?.site(at) ?? null;
    const delta_RD = own(siteDelta(clean_RD, donor_RD));
    const hook = siteHook(at);
    const check = (values: Float32Array, rowOf?: Int32Array): Promise<void> =>
      checkScores(values, rowOf, { at, runs, prompts, nLayers: spliced.model.config.nLayers });
    const site = await dotScores(gradient_RD, delta_RD);
    await check(site);
    into.sites.set(hook, site);
    if (at.site === "attn_z") into.heads.set(hook, await dotScores(gradient_RD, delta_RD, spliced.model.config.nHeads));
    if (withComponents && at.site === "resid_post")
      into.components.set(hook, componentsOf(await rowProducts(gradient_RD, delta_RD)));
    const sae = spliced.sae(at);
    if (sae === undefined) return;
    const changes = await nodeChanges(sae, clean_RD, donor_RD);
    own(changes.error_RD);
    const features = await featureScores(sae, gradient_RD, changes.features);
    await check(features, changes.features.row);
    into.features.set(hook, sparseRows(changes.features, features, sae.dSae, prompts.length, runs.clean.frame.T));
    const errors = await dotScores(gradient_RD, changes.error_RD);
    await check(errors);
    into.errors.set(hook, errors);
    if (withComponents)
      into.components.set(nodeHook(at, "error"), componentsOf(await rowProducts(gradient_RD, changes.error_RD)));
  });
}

/** Entries by flat row as a sparse row for each prompt. */
function sparseRows(changes: FeatureChanges, value: Float32Array, F: number, prompts: number, T: number): SparseRows {
  const pointer = new Int32Array(prompts + 1);
  const index = new Int32Array(value.length);
  for (const [i, row] of changes.row.entries()) {
    index[i] = (row % T) * F + must(changes.feature[i], "feature");
    const prompt = Math.floor(row / T);
    pointer[prompt + 1] = i + 1;
  }
  for (let p = 1; p <= prompts; p++) pointer[p] = Math.max(must(pointer[p], "end"), must(pointer[p - 1], "start"));
  return { pointer, index, value };
}

/** @throws PatchbayError `non_finite` where a score is not finite, naming the activation where it began if it is one. */
async function checkScores(
  values: Float32Array,
  rowOf: Int32Array | undefined,
  { at, runs, prompts, nLayers }: { at: SiteAt; runs: Runs; prompts: readonly Prompt[]; nLayers: number },
): Promise<void> {
  const bad = firstNonFinite(values);
  if (bad < 0) return;
  for (const run of [runs.clean, runs.corrupted]) if (run !== null) await locateInRun(run, nLayers, prompts);
  const row = rowOf === undefined ? bad : must(rowOf[bad], "row");
  const prompt = must(prompts[Math.floor(row / runs.clean.frame.T)], "prompt");
  throw nonFinite("score", at, null, prompt, must(values[bad], "value"));
}
