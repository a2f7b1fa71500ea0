/**
 * @file Trains the SAEs of several sites together on text.
 *
 * 1. Fix the order of everything: sequences, fills of the buffer, steps (sae-schedule.ts).
 * 2. For each fill, run the model up to the highest site, then take each site's steps on the buffer's rows.
 * 3. Between fills, write a checkpoint now and then; a later call with the same settings goes on from it, with the same bits.
 * 4. At the end, measure each SAE on held-out text.
 */
import { must } from "../base/assert.js";
import { siteHook, type SaeSiteAt } from "../nodes/site.js";
import type { Model } from "../model/model.js";
import type { SaeWeights } from "../weights/sae-folder.js";
import { siteWidth } from "../families/family.js";
import { createBuffer, type ActivationBuffer } from "./activation-buffer.js";
import { createMeasure, type HeldOutFigures } from "./held-out-figures.js";
import { openTrainingCheckpoint, writeTrainingCheckpoint, type CurvePoint } from "./sae-checkpoint.js";
import { batchesOfFill, blocksOfPass, scheduleFills, stepsOf, type Fill } from "./sae-schedule.js";
import { resumeSite, startSite, type SiteTrainer, type SiteTraining } from "./site-trainer.js";
import type { TrainingText } from "./training-text.js";

/** Points of the curve that are kept, at most: a long training has very many fills. */
const CURVE_POINTS = 1000;

/** Everything that decides the SAEs' bits, beside model, text and environment. */
export interface SaeSettings {
  readonly sites: readonly SaeSiteAt[];
  readonly tokens: number;
  readonly bufferRows: number;
  readonly blockTokens: number;
  readonly batchRows: number;
  readonly training: Omit<SiteTraining, "steps">;
}

/** One trained SAE. */
export interface TrainedSae {
  readonly at: SaeSiteAt;
  readonly weights: SaeWeights;
  readonly figures: HeldOutFigures;
}

/** What training gave. */
export interface TrainedSaes {
  readonly saes: readonly TrainedSae[];
  readonly curve: readonly CurvePoint[];
  readonly tokens: number;
  readonly steps: number;
}

/** Where checkpoints lie, how often they are written, and who hears of progress. */
export interface TrainingPlace {
  readonly checkpoints: string;
  /** Least seconds from one to the next. */
  readonly checkpointSeconds: number;
  onResume(tokens: number): void;
  onFill(point: CurvePoint, totalTokens: number): void;
}

/** Trains, or goes on where a checkpoint is. */
export async function trainSaes(
  model: Model,
  text: TrainingText,
  settings: SaeSettings,
  place: TrainingPlace,
): Promise<TrainedSaes> {
  const { bosId, padId } = model.config;
  const skip = new Set([bosId, padId]);
  const options = { ...settings, seed: settings.training.seed, skip };
  const fills = scheduleFills(text.training, options);
  const tokens = fills.reduce((sum, { rows }) => sum + rows, 0);
  const buffer = createBuffer(model, settings.sites, settings.bufferRows, skip);
  const { trainers, curve } = await trainFills({ model, buffer, fills }, settings, place);
  const heldOut = scheduleHeldOut(text, options);
  // Adam's moments make way for the SAEs that are measured: the end needs no more memory than the training.
  const trained = trainers.map((trainer) => ({ at: trainer.at, weights: trainer.weights() }));
  for (const trainer of trainers) trainer.dispose();
  const figures = await measure(buffer, heldOut, trained);
  const saes = trained.map((sae, i) => ({ ...sae, figures: must(figures[i], "figures") }));
  return { saes, curve, tokens, steps: stepsOf(fills) };
}

/** What the trainers' rows come from. */
interface RowSource {
  readonly model: Model;
  readonly buffer: ActivationBuffer;
  readonly fills: readonly Fill[];
}

async function trainFills(
  { model, buffer, fills }: RowSource,
  { sites, training: withoutSteps }: SaeSettings,
  place: TrainingPlace,
): Promise<{ trainers: SiteTrainer[]; curve: CurvePoint[] }> {
  const training = { ...withoutSteps, steps: stepsOf(fills) };
  const total = fills.reduce((sum, { rows }) => sum + rows, 0);
  const from = openTrainingCheckpoint(place.checkpoints);
  const curve = [...(from?.curve ?? [])];
  let tokens = fills.slice(0, from?.fills ?? 0).reduce((sum, { rows }) => sum + rows, 0);
  const trainers: SiteTrainer[] = [];
  const width = (at: SaeSiteAt): number => siteWidth(at, model.config);
  if (from !== null) {
    for (const at of sites) trainers.push(resumeSite(at, width(at), await from.read(at), training));
    place.onResume(tokens);
  }
  let saved = performance.now();
  for (const [i, fill] of [...fills.entries()].slice(from?.fills ?? 0)) {
    await buffer.fill(fill.blocks);
    if (i === 0) for (const at of sites) trainers.push(startSite(at, width(at), buffer.all(at), training));
    trainOnFill(buffer, fill, trainers, training.seed);
    const share = (part: number): number => Math.floor((CURVE_POINTS * part) / total);
    const isPoint = share(tokens + fill.rows) > share(tokens);
    tokens += fill.rows;
    const point = {
      tokens,
      sites: Object.fromEntries(trainers.map((trainer) => [siteHook(trainer.at), trainer.takeFigures()])),
    };
    if (isPoint) curve.push(point);
    place.onFill(point, total);
    if (i + 1 < fills.length && performance.now() - saved < 1000 * place.checkpointSeconds) continue;
    const states = trainers.map((trainer) => ({ at: trainer.at, state: trainer.state() }));
    await writeTrainingCheckpoint(place.checkpoints, { fills: i + 1, curve }, states);
    saved = performance.now();
  }
  return { trainers, curve };
}

/** Site by site, so that one SAE's arrays stay in the cache. */
function trainOnFill(buffer: ActivationBuffer, fill: Fill, trainers: readonly SiteTrainer[], seed: number): void {
  const batches = batchesOfFill(fill, seed);
  for (const trainer of trainers) {
    for (const [i, rows] of batches.entries()) {
      const x_RD = buffer.take(trainer.at, rows);
      trainer.step(x_RD, fill.firstStep + i);
      x_RD.dispose();
    }
  }
}

/** Held-out sequences as fills of the buffer, each row once. */
function scheduleHeldOut(text: TrainingText, options: Parameters<typeof scheduleFills>[1]): Fill[] {
  const rows = blocksOfPass(text.heldOut, 0, options).reduce((sum, block) => sum + block.rows, 0);
  return scheduleFills(text.heldOut, { ...options, tokens: rows });
}

async function measure(
  buffer: ActivationBuffer,
  fills: readonly Fill[],
  saes: readonly Pick<TrainedSae, "at" | "weights">[],
): Promise<HeldOutFigures[]> {
  const measures = saes.map(({ weights }) => createMeasure(weights));
  for (const { blocks } of fills) {
    await buffer.fill(blocks);
    for (const [i, { at }] of saes.entries()) measures[i]?.add(buffer.all(at));
  }
  const figures = measures.map((each) => each.figures());
  for (const each of measures) each.dispose();
  return figures;
}
