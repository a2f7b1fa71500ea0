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
import { answerLogits, runLayer, startBlock, type LayerActivations } from "../model/forward.js";
import type { Frame } from "../model/layer.js";
import { metricsOf, type Answers } from "../model/metric.js";
import { layersFrom, walkLayers, type Model } from "../model/model.js";
import { KeptProducts } from "../model/products.js";
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

/** Given one layer's input and activations of every side. The tensors are disposed afterwards: clone what is kept. */
export type LayerVisitor = (
  layer: number,
  sides: readonly LayerActivations[],
  inputs: readonly Tensor[],
) => Promise<void> | void;

/** What {@link visitLayers} runs. */
export interface VisitedBlock {
  /** Token ids of each side's prompts; all prompts have one length. */
  readonly sides: readonly (readonly (readonly number[])[])[];
  readonly answers: Answers;
  /** What the visitor needs of the pool for a layer. */
  readonly also?: (layer: number) => readonly Pooled<unknown>[];
}

/**
 * Runs the sides of a block layer by layer, side by side. Each side is a batch of its own, so that equal prompts on two
 * sides pass through operations of equal shape, at equal rows, and give equal bits.
 *
 * @returns answer logits of each side, `[P, A]`.
 */
export async function visitLayers(
  model: Model,
  { sides, answers, also }: VisitedBlock,
  visit: LayerVisitor,
): Promise<Float32Array[]> {
  return await withScope(async (own) => {
    const blocks: { readonly resid_RD: Tensor; readonly frame: Frame }[] = [];
    for (const ids of sides) {
      const block = await startBlock(model, ids);
      blocks.push({ resid_RD: own(block.resid_RD), frame: own(block.frame) });
    }
    let current = blocks.map(({ resid_RD }) => resid_RD);
    const through = async (layer: number): Promise<void> => {
      const activations = blocks.map(({ frame }, side) =>
        runLayer(model, layer, { resid_RD: must(current[side], "side"), frame }),
      );
      for (const { attn_z, mlp_out, resid_post } of activations) [attn_z, mlp_out, resid_post].forEach(own);
      await visit(layer, activations, current);
      tf.dispose([...current, ...activations.flatMap(({ attn_z, mlp_out }) => [attn_z, mlp_out])]);
      current = activations.map(({ resid_post }) => resid_post);
      await breathe();
    };
    await walkLayers(model, layersFrom(model.config), through, also);
    const logits = blocks.map(({ frame }, side) =>
      readAndDispose(answerLogits(model, must(current[side], "side"), frame.batch, answers)),
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

/**
 * Runs sides of the prompts side by side, so that a layer is read once for all, and keeps all site activations. Where prompts have spans,
 * the corrupted run's rows stand in the places of the clean ones that they are the counterparts of. Owner: caller.
 * @param backward the side whose gradients will be asked for: its products are kept too.
 */
export async function captureRuns(
  model: Model,
  prompts: readonly Prompt[],
  sides: readonly Side[],
  answers: Answers,
  backward?: Side,
): Promise<Run[]> {
  const captures: Capture[] = [];
  try {
    for (const side of sides) {
      const { resid_RD: embedded_RD, frame } = await startBlock(model, idsOf(prompts, side));
      captures.push({ side, frame, embedded_RD, layers: [], products: [] });
    }
    await walkLayers(model, layersFrom(model.config), async (layer) => {
      for (const capture of captures) {
        const products = capture.side === backward ? keptIn(capture).keep : undefined;
        capture.layers.push(
          runLayer(model, layer, { resid_RD: inputOf(capture, layer), frame: capture.frame }, products),
        );
        await breathe();
      }
    });
    const runs: Run[] = [];
    for (const [i, capture] of captures.entries()) {
      const logits = await readAndDispose(
        answerLogits(model, inputOf(capture, capture.layers.length), capture.frame.batch, answers),
      );
      const placed =
        capture.side === "corrupted" && needsAlignment(prompts)
          ? align(capture, must(captures[0], "clean run"), prompts)
          : capture;
      captures[i] = placed;
      runs.push(runOf(placed, logits, answers));
    }
    return runs;
  } catch (error) {
    captures.forEach(disposeCapture);
    throw error;
  }
}

/** Begins the products of the next layer. */
function keptIn({ products }: Capture): KeptProducts {
  const kept = new KeptProducts();
  products.push(kept);
  return kept;
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
