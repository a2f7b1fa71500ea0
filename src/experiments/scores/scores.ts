/**
 * @file Scores of every node for a block of prompts: AtP, zero ablation, integrated gradients, RelP.
 *
 * 1. Run the prompts clean, and corrupted where a score needs a donor, keeping every site's activation.
 * 2. Visit the sites from the last layer to the first with their gradient: at the clean run, its mean along the line to the
 *    corrupted run (IG), or with other backward rules (RelP).
 * 3. A site's score is gradient . (donor - clean), whole and head by head; the donor is the corrupted run, or zero. Neurons are scored
 *    one by one, where the sweep asks for them.
 * 4. Where the site has an SAE, encode both runs and score features with their decoder rows and the error with what is left:
 *    gradients pass an SAE unchanged, so none is in the backward graph.
 * 5. Where errors are split, a part's score is gradient . (its change): of the linear part `A (donor - clean)`, of the rest what is left.
 *
 * Each prompt's gradient is that of its own metric, so scores do not depend on how many prompts a block has. Source: REFERENCE 3, 4, 9.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../../base/assert.js";
import { firstDifference, SIDES, type MetricReduce, type Prompt } from "../../nodes/prompt.js";
import { KINDS } from "../../nodes/kinds.js";
import { nodeHook } from "../../nodes/node.js";
import { isSaeSite, SAE_SITES, siteHook, SITES, type SaeSiteAt, type SiteAt } from "../../nodes/site.js";
import { loadAnswers, type Answers } from "../../model/metric.js";
import { readAndDispose } from "../../model/read-tensor.js";
import { withScope } from "../../model/tensor-scope.js";
import { linearChange } from "../../sae/error-fit.js";
import type { Sae } from "../../sae/sae.js";
import { gradientsPerSite, type ScoreMethod } from "../../methods/score-method.js";
import { type ScoreSpec, scoresNeurons } from "../../sweep/sweep.js";
import { visitGradients, type GradientVisitor } from "../../passes/backward.js";
import type { OnProgress } from "../../passes/breathe.js";
import { captureRuns, type Run } from "../../passes/capture.js";
import { componentsOf } from "./components.js";
import { visitMeanGradients } from "../../passes/integrated-gradients.js";
import { laterRows, wholeRow, wholeRows } from "../../passes/later-positions.js";
import { loadNeurons } from "../../passes/neurons.js";
import { checkRun, firstNonFinite, locateInRun, nonFinite } from "../../passes/non-finite.js";
import { dotScores, nodeScores, rowNorms, siteDelta, type FeatureEntries } from "../../passes/site-scores.js";
import type { SplicedModel } from "../../passes/spliced-model.js";
import type { Components, ScoresResult, SparseRows } from "../../artifacts/scores-payload.js";

/** The runs that scores compare; zero ablation has no corrupted one. */
interface Runs {
  readonly clean: Run;
  readonly corrupted: Run | null;
}

/** A sweep's score, and its method. */
export interface ScoreWay {
  readonly score: ScoreSpec;
  readonly method: ScoreMethod;
}

/** What is asked of a block of prompts. */
export interface ScoresRequest extends ScoreWay {
  readonly reduce: MetricReduce;
  /** False computes equal rows once for each prompt and side. */
  readonly share?: boolean;
  /** Told sites done and to do. */
  readonly onProgress?: OnProgress | undefined;
}

/** A block of prompts while it is scored. */
interface Block {
  readonly spliced: SplicedModel;
  readonly prompts: readonly Prompt[];
  readonly runs: Runs;
  /** Positions before it have the same tokens in both runs, so that no node changes there. */
  readonly first: number;
  readonly withComponents: boolean;
  readonly collected: ReturnType<typeof noScores>;
}

/** Where scores are collected: by site hook, and components by the hooks that {@link ScoresResult} says. */
function noScores() {
  return {
    feature: new Map<string, SparseRows>(),
    error: new Map<string, Float32Array>(),
    error_linear: new Map<string, Float32Array>(),
    error_nonlinear: new Map<string, Float32Array>(),
    site: new Map<string, Float32Array>(),
    head: new Map<string, Float32Array>(),
    neuron: new Map<string, Float32Array>(),
    components: new Map<string, Components>(),
  } satisfies ScoresResult;
}

/**
 * Scores of all nodes for prompts of one length. Components are filled for AtP only.
 *
 * @throws PatchbayError `non_finite` naming layer, site and prompt line.
 */
export async function computeScores(
  spliced: SplicedModel,
  prompts: readonly Prompt[],
  { reduce, share = true, onProgress, ...way }: ScoresRequest,
): Promise<ScoresResult> {
  const { model } = spliced;
  return await withScope(async (own) => {
    const answers = own(await loadAnswers(model.embedding, prompts, reduce));
    const { donor, hasComponents } = way.method;
    const sides = SIDES.slice(0, donor === "zero" ? 1 : 2);
    const captured = (await captureRuns(model, prompts, sides, answers, { backward: "clean", share })).map(own);
    const [clean, corrupted] = [must(captured[0], "clean run"), captured[1] ?? null];
    for (const run of [clean, corrupted]) if (run !== null) await checkRun(run, model.config.nLayers, prompts);
    const collected = noScores();
    const runs = { clean, corrupted };
    const first = corrupted === null ? 0 : Math.min(firstDifference(prompts), clean.frame.T - 1);
    const block = { spliced, prompts, runs, first, withComponents: hasComponents, collected };
    // One for each site, and with integrated gradients for each gradient beyond the shared first one.
    const sites = scoresNeurons(way.score) ? SITES : SAE_SITES;
    const total = sites.length * model.config.nLayers * gradientsPerSite(way.method, way.score);
    let done = 0;
    const onStep = (): void => onProgress?.(++done, total);
    const visit: GradientVisitor = async (at, gradient_RD) => {
      await (isSaeSite(at) ? scoreSite(block, at, gradient_RD) : scoreNeurons(block, at, gradient_RD));
      onStep();
    };
    await visitSiteGradients(spliced, { ...runs, answers }, way, { visit, onStep });
    return collected;
  });
}

async function visitSiteGradients(
  { model, saesOf }: SplicedModel,
  { clean, corrupted, answers }: Runs & { readonly answers: Answers },
  { score, method }: ScoreWay,
  { visit, onStep }: { readonly visit: GradientVisitor; readonly onStep: () => void },
): Promise<void> {
  const rules = await method.rules();
  const steps = method.lineSteps(score);
  const withNeurons = scoresNeurons(score);
  if (steps === null) {
    await visitGradients({ model, run: clean, answers, rules, withNeurons, also: saesOf }, visit);
    return;
  }
  const runs = { clean, corrupted: must(corrupted, "corrupted run") };
  await visitMeanGradients({ model, runs, answers, steps, rules, withNeurons, onStep }, visit);
}

/** Scores one site's nodes into `block.collected`. */
async function scoreSite(block: Block, at: SaeSiteAt, gradient_RD: Tensor): Promise<void> {
  const { spliced, runs, collected, withComponents } = block;
  await withScope(async (own) => {
    const hook = siteHook(at);
    const delta_RD = own(siteDelta(runs.clean.site(at), runs.corrupted?.site(at) ?? null));
    const dot = await dotScores(gradient_RD, delta_RD);
    await checkScores(block, at, dot);
    collected.site.set(hook, dot);
    if (KINDS.head.sites.includes(at.site))
      collected.head.set(hook, await dotScores(gradient_RD, delta_RD, spliced.model.config.nHeads));
    const gradNorm = withComponents ? await rowNorms(gradient_RD) : null;
    if (gradNorm !== null && at.site === "resid_post")
      collected.components.set(hook, componentsOf({ deltaNorm: await rowNorms(delta_RD), gradNorm, dot }));
    await spliced.withSae(at, async (sae) => {
      if (sae !== undefined) await scoreNodes(block, at, sae, { gradient_RD, gradNorm });
    });
  });
}

/** Scores a layer's neurons one by one: the layer is on the device, or is brought there. */
async function scoreNeurons(block: Block, at: SiteAt, gradient_RM: Tensor): Promise<void> {
  const { spliced, runs, collected } = block;
  await withScope(async (own) => {
    const all = [runs.clean, ...(runs.corrupted === null ? [] : [runs.corrupted])];
    const [clean, donor] = (await loadNeurons(spliced.model, all, at.layer)).map(own);
    const delta_RM = own(siteDelta(must(clean, "clean neurons"), donor ?? null));
    const scores = await readAndDispose(tf.mul(gradient_RM, delta_RM));
    await checkScores(block, at, scores, (i) => Math.floor(i / spliced.model.config.dMlp));
    collected.neuron.set(siteHook(at), scores);
  });
}

/** A site's gradient, and the norms of its rows where components are asked for. */
interface SiteGradient {
  readonly gradient_RD: Tensor;
  readonly gradNorm: Float32Array | null;
}

/** Scores one site's features and error node, from the first position that differs on: before it all are 0. */
async function scoreNodes(
  block: Block,
  at: SaeSiteAt,
  sae: Sae,
  { gradient_RD, gradNorm }: SiteGradient,
): Promise<void> {
  const { runs, first, collected } = block;
  const { batch, T } = runs.clean.frame;
  await withScope(async (own) => {
    const later = (x_RD: Tensor): Tensor => own(laterRows(x_RD, batch, first));
    const donor_RD = runs.corrupted === null ? null : later(runs.corrupted.site(at));
    const laterGradient_RD = later(gradient_RD);
    const clean_RD = later(runs.clean.site(at));
    const { features, error_RD } = await nodeScores(sae, laterGradient_RD, clean_RD, donor_RD);
    own(error_RD);
    await checkScores(block, at, features.value, (entry) => wholeRow(must(features.row[entry], "row"), T, first));
    collected.feature.set(siteHook(at), sparseRows(features, sae.dSae, { batch, T, first }));
    const whole = (values: Float32Array): Float32Array => wholeRows(values, batch, first);
    const dot = whole(await dotScores(laterGradient_RD, error_RD));
    await checkScores(block, at, dot);
    collected.error.set(siteHook(at), dot);
    await scoreParts(block, at, laterGradient_RD, { clean_RD, donor_RD, error_RD });
    if (gradNorm !== null)
      collected.components.set(
        nodeHook(at, "error"),
        componentsOf({ deltaNorm: whole(await rowNorms(error_RD)), gradNorm, dot }),
      );
  });
}

/** A site's rows from the first position that differs on, and how its error changes there. */
interface LaterRows {
  readonly clean_RD: Tensor;
  readonly donor_RD: Tensor | null;
  readonly error_RD: Tensor;
}

/** Scores the parts of one site's error, where errors are split. */
async function scoreParts(
  block: Block,
  at: SiteAt,
  gradient_RD: Tensor,
  { clean_RD, donor_RD, error_RD }: LaterRows,
): Promise<void> {
  const { spliced, runs, first, collected } = block;
  await spliced.errorFits?.withFit(at, async (fit) => {
    const linear_RD = linearChange(fit, clean_RD, donor_RD);
    const nonlinear_RD = tf.sub(error_RD, linear_RD);
    try {
      for (const [kind, delta_RD] of [
        ["error_linear", linear_RD] as const,
        ["error_nonlinear", nonlinear_RD] as const,
      ]) {
        const dot = wholeRows(await dotScores(gradient_RD, delta_RD), runs.clean.frame.batch, first);
        await checkScores(block, at, dot);
        collected[kind].set(siteHook(at), dot);
      }
    } finally {
      tf.dispose([linear_RD, nonlinear_RD]);
    }
  });
}

/** Entries of later positions, by flat row, as a sparse row for each prompt. */
function sparseRows(
  { row, feature, value }: FeatureEntries,
  F: number,
  { batch, T, first }: { readonly batch: number; readonly T: number; readonly first: number },
): SparseRows {
  const length = T - first;
  const pointer = new Int32Array(batch + 1);
  const index = new Int32Array(feature.length);
  // Plain loops: a site has tens of thousands of entries.
  let i = 0;
  for (let prompt = 0; prompt < batch; prompt++) {
    const before = prompt * length;
    for (; i < index.length && (row[i] as number) < before + length; i++)
      index[i] = (first + (row[i] as number) - before) * F + (feature[i] as number);
    pointer[prompt + 1] = i;
  }
  return { pointer, index, value };
}

/**
 * @param rowOf flat row of a value, by its index.
 * @throws PatchbayError `non_finite` where a score is not finite, naming the activation where it began if it is one.
 */
async function checkScores(
  { runs, prompts, spliced }: Block,
  at: SiteAt,
  values: Float32Array,
  rowOf: (index: number) => number = (index) => index,
): Promise<void> {
  const bad = firstNonFinite(values);
  if (bad < 0) return;
  const { nLayers } = spliced.model.config;
  for (const run of [runs.clean, runs.corrupted]) if (run !== null) await locateInRun(run, nLayers, prompts);
  const prompt = must(prompts[Math.floor(rowOf(bad) / runs.clean.frame.T)], "prompt");
  throw nonFinite({ quantity: "score", at, side: null, prompt, value: must(values[bad], "value") });
}
