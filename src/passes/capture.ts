/**
 * @file The unintervened forward pass of a block of prompts, with the activations of its sites.
 *
 * {@link visitLayers} keeps one layer's activations alive at a time; {@link captureRuns} keeps them all, for the backward pass.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { assert, must } from "../base/assert.js";
import { PatchbayError } from "../base/errors.js";
import type { Prompt, Side } from "../nodes/prompt.js";
import type { SaeSiteAt } from "../nodes/site.js";
import { sideBatches, type TokenBatch } from "../nodes/token-rows.js";
import { answerLogitsOf, runLayer, startBlock, type LayerActivations } from "../model/forward.js";
import { type Frame, wholeFrame } from "../model/layer.js";
import { metricsOf, type Answers } from "../model/metric.js";
import { layersFrom, walkLayers, type Model } from "../model/model.js";
import { KeptProducts, type Products } from "../model/products.js";
import { readAndDispose } from "../model/read-tensor.js";
import { withScope } from "../model/tensor-scope.js";
import type { Pooled } from "../model/weight-pool.js";
import { alignedIndex, alignRows, needsAlignment } from "./align-rows.js";
import { breathe } from "./breathe.js";

/** Token ids of one side of the prompts. A plain prompt has no corrupted side; asking for it is refused. */
export function idsOf(prompts: readonly Prompt[], side: Side): (readonly number[])[] {
  return prompts.map((prompt) => {
    const ids = prompt[side];
    if (ids !== null) return ids;
    const text = `the prompt of line ${String(prompt.line)} has no corrupted side: expected pairs, got a plain dataset`;
    throw new PatchbayError("bad_input", text, { detail: { line: prompt.line } });
  });
}

/** Given one layer's input and activations of every batch. The tensors are disposed afterwards: clone what is kept. */
export type LayerVisitor = (
  layer: number,
  batches: readonly LayerActivations[],
  inputs: readonly Tensor[],
) => Promise<void> | void;

/** What {@link visitLayers} runs. */
export interface VisitedBlock {
  /** What runs side by side, such as the sides of prompts. */
  readonly batches: readonly TokenBatch[];
  readonly answers: Answers;
  /** What the visitor needs of the pool for a layer. */
  readonly also?: (layer: number) => readonly Pooled<unknown>[];
}

/**
 * Runs the batches of a block layer by layer, side by side.
 *
 * @returns answer logits of each batch, `[B, A]`.
 */
export async function visitLayers(
  model: Model,
  { batches, answers, also }: VisitedBlock,
  visit: LayerVisitor,
): Promise<Float32Array[]> {
  return await withScope(async (own) => {
    const blocks: { readonly resid_RD: Tensor; readonly frame: Frame }[] = [];
    for (const { ids, rows } of batches) {
      const block = await startBlock(model, ids, rows);
      blocks.push({ resid_RD: own(block.resid_RD), frame: own(block.frame) });
    }
    let current = blocks.map(({ resid_RD }) => resid_RD);
    const through = async (layer: number): Promise<void> => {
      const activations = blocks.map(({ frame }, batch) =>
        runLayer(model, layer, { resid_RD: must(current[batch], "batch"), frame }),
      );
      for (const { attn_z, mlp_out, resid_post } of activations) [attn_z, mlp_out, resid_post].forEach(own);
      await visit(layer, activations, current);
      tf.dispose([...current, ...activations.flatMap(({ attn_z, mlp_out }) => [attn_z, mlp_out])]);
      current = activations.map(({ resid_post }) => resid_post);
      await breathe();
    };
    await walkLayers(model, layersFrom(model.config), through, also);
    const logits = blocks.map(({ frame }, batch) =>
      readAndDispose(answerLogitsOf(model, { resid_RD: must(current[batch], "batch"), frame }, answers)),
    );
    return await Promise.all(logits);
  });
}

/** One side of a block with every layer's activations. Owner: caller. */
export interface Run {
  readonly side: Side;
  readonly frame: Frame;
  /** Input of layer `layer`, `[R, D]`. */
  input(layer: number): Tensor;
  /** Activation of a site, `[R, D]`. */
  site(at: SaeSiteAt): Tensor;
  /** Products of layer `layer`, where the run kept them. */
  products(layer: number): KeptProducts;
  /** Answer logits, `[P, A]`. */
  readonly logits: Float32Array;
  /** `m` of each prompt. */
  readonly metric: Float64Array;
  dispose(): void;
}

/** A run while its layers are added. */
interface Capture {
  readonly side: Side;
  readonly frame: Frame;
  readonly embedded_RD: Tensor;
  readonly layers: LayerActivations[];
  readonly products: KeptProducts[];
}

/** A batch while its layers are run, and the runs whose activations it gives. */
interface RunningBatch {
  readonly frame: Frame;
  readonly runs: readonly BatchRun[];
  /** Input of the next layer; where the batch shares no rows, it is its only run's. */
  resid_RD: Tensor;
}

interface BatchRun {
  readonly capture: Capture;
  /** The batch's row of each of the run's rows, int32; null where they are the same. */
  readonly rows: Tensor | null;
}

/** How sides are run. */
export interface CaptureOptions {
  /** The side whose gradients will be asked for: its products are kept too. */
  readonly backward?: Side;
  /** False computes equal rows once for each prompt and side. */
  readonly share?: boolean;
}

/**
 * Runs sides of the prompts side by side, so that a layer is read once for all, and keeps all site activations. Rows that the same tokens
 * lead to are computed once. Where prompts have spans, the corrupted run's rows stand in the places of the clean ones that they are the
 * counterparts of. Owner: caller.
 */
export async function captureRuns(
  model: Model,
  prompts: readonly Prompt[],
  sides: readonly Side[],
  answers: Answers,
  { backward, share = true }: CaptureOptions = {},
): Promise<Run[]> {
  const ids = sides.map((side) => idsOf(prompts, side));
  const { batches, places } = sideBatches(ids, share);
  const running: RunningBatch[] = [];
  try {
    for (const [b, batch] of batches.entries()) {
      const members = sides.filter((_, i) => places[i]?.batch === b);
      running.push(await startBatch(model, batch, members, prompts.length));
    }
    await walkLayers(model, layersFrom(model.config), async (layer) => {
      for (const batch of running) {
        runBatch(model, layer, batch, backward);
        await breathe();
      }
    });
    const logits = await Promise.all(
      running.map(({ frame, resid_RD }) => readAndDispose(answerLogitsOf(model, { resid_RD, frame }, answers))),
    );
    const captures = running.flatMap(({ runs }) => runs.map(({ capture }) => capture));
    const runs = captures.map((capture, i) => {
      const { batch, first } = must(places[i], "place");
      const own = must(logits[batch], "logits").subarray(first * answers.ids.length);
      const isMoved = capture.side === "corrupted" && needsAlignment(prompts);
      const placed = isMoved ? align(capture, must(captures[0], "clean run"), prompts) : capture;
      return runOf(placed, own.slice(0, prompts.length * answers.ids.length), answers);
    });
    running.forEach(disposeShared);
    return runs;
  } catch (error) {
    for (const batch of running) {
      disposeShared(batch);
      for (const { capture } of batch.runs) disposeCapture(capture);
    }
    throw error;
  }
}

/** @param sides that the batch runs, one after the other. */
async function startBatch(
  model: Model,
  { ids, rows }: TokenBatch,
  sides: readonly Side[],
  prompts: number,
): Promise<RunningBatch> {
  const { resid_RD, frame } = await startBlock(model, ids, rows);
  const newCapture = (side: Side, own: Frame, embedded_RD: Tensor): Capture => ({
    side,
    frame: own,
    embedded_RD,
    layers: [],
    products: [],
  });
  if (rows === null) {
    const capture = newCapture(must(sides[0], "side"), frame, resid_RD);
    return { frame, resid_RD, runs: [{ capture, rows: null }] };
  }
  const size = prompts * rows.T;
  const runs = sides.map((side, i): BatchRun => {
    const own = tf.tensor1d(rows.rowOf.slice(i * size, (i + 1) * size), "int32");
    const whole = wholeFrame(model.config, prompts, rows.T);
    return { capture: newCapture(side, whole, tf.gather(resid_RD, own)), rows: own };
  });
  return { frame, resid_RD, runs };
}

/** Runs a layer of a batch, and gives each run its rows. */
function runBatch(model: Model, layer: number, batch: RunningBatch, backward: Side | undefined): void {
  const { frame, runs, resid_RD } = batch;
  const keeping = runs.find(({ capture }) => capture.side === backward);
  const activations = runLayer(model, layer, { resid_RD, frame }, keeping && keptIn(keeping));
  batch.resid_RD = activations.resid_post;
  if (frame.shared === undefined) {
    must(runs[0], "run").capture.layers.push(activations);
    return;
  }
  resid_RD.dispose();
  const { attn_z, mlp_out, resid_post } = activations;
  try {
    for (const { capture, rows } of runs) {
      const own = (x_RD: Tensor): Tensor => tf.gather(x_RD, must(rows ?? undefined, "rows"));
      capture.layers.push({ attn_z: own(attn_z), mlp_out: own(mlp_out), resid_post: own(resid_post) });
    }
  } finally {
    tf.dispose([attn_z, mlp_out]);
  }
}

/** Begins the products of the next layer. */
function keptIn({ capture, rows }: BatchRun): Products {
  const kept = new KeptProducts();
  capture.products.push(kept);
  return rows === null ? kept.keep : kept.keepRows(rows);
}

/** Releases what a batch that shares rows has besides its runs. */
function disposeShared({ frame, runs, resid_RD }: RunningBatch): void {
  if (frame.shared === undefined) return;
  frame.dispose();
  resid_RD.dispose();
  for (const { rows } of runs) rows?.dispose();
}

/** Moves the rows of a corrupted run to the places of clean ones. */
function align(corrupted: Capture, clean: Capture, prompts: readonly Prompt[]): Capture {
  assert(clean.side === "clean", "a corrupted run is aligned with the clean one beside it");
  const index = alignedIndex(prompts);
  const moved = (of: (capture: Capture) => Tensor): Tensor => {
    const own_RD = of(corrupted);
    const aligned_RD = alignRows(of(clean), own_RD, index);
    own_RD.dispose();
    return aligned_RD;
  };
  for (const layer of corrupted.layers.keys()) {
    const at = (site: SaeSiteAt["site"]): Tensor => moved(({ layers }) => must(layers[layer], "layer")[site]);
    corrupted.layers[layer] = { attn_z: at("attn_z"), mlp_out: at("mlp_out"), resid_post: at("resid_post") };
  }
  const dispose = (): void => {
    corrupted.frame.dispose();
  };
  return { ...corrupted, embedded_RD: moved(({ embedded_RD }) => embedded_RD), frame: { ...clean.frame, dispose } };
}

function runOf(capture: Capture, logits: Float32Array, answers: Answers): Run {
  const { side, frame, layers } = capture;
  const input = (layer: number): Tensor => inputOf(capture, layer);
  const site = ({ site, layer }: SaeSiteAt): Tensor => must(layers[layer], "layer")[site];
  const dispose = (): void => {
    disposeCapture(capture);
  };
  const products = (layer: number): KeptProducts => must(capture.products[layer], "kept products");
  return { side, frame, input, site, products, logits, metric: metricsOf(logits, answers), dispose };
}

function inputOf({ embedded_RD, layers }: Capture, layer: number): Tensor {
  return layer === 0 ? embedded_RD : must(layers[layer - 1], "layer").resid_post;
}

function disposeCapture({ frame, embedded_RD, layers, products }: Capture): void {
  frame.dispose();
  for (const kept of products) kept.dispose();
  tf.dispose([embedded_RD, ...layers.flatMap(({ attn_z, mlp_out, resid_post }) => [attn_z, mlp_out, resid_post])]);
}
