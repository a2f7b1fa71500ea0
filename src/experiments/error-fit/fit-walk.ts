/**
 * @file Both runs of many blocks of prompts, layer by layer: what the fits of a run's sites are made of.
 *
 * 1. All blocks of a group climb together, so that a layer's weights are read once for all of them. Of each block the residual stream
 *    is held, and the sites of the one layer that is visited.
 * 2. Where one group is all, its residual streams stay at the input of the visited layer: the next site, of this layer or a later one,
 *    goes on from there.
 * 3. Groups of a larger dataset begin at the embedding for each site.
 *
 * Blocks pass through the same operations either way, so results do not depend on what was kept.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../../base/assert.js";
import { SIDES } from "../../nodes/prompt.js";
import { runLayer, startBlock, type LayerActivations } from "../../model/forward.js";
import type { Frame } from "../../model/layer.js";
import { walkLayers, type Model } from "../../model/model.js";
import { withScope } from "../../model/tensor-scope.js";
import type { Pooled } from "../../model/weight-pool.js";
import { breathe } from "../../passes/breathe.js";
import { idsOf } from "../../passes/capture.js";
import type { FitBlock } from "./fit-blocks.js";

/** Given a block's activations of the visited layer, clean and corrupted. They are disposed afterwards. */
export type FitVisitor = (block: FitBlock, sides: readonly LayerActivations[]) => Promise<void>;

/** A walk over the blocks of one dataset on one model. */
export interface FitWalk {
  /** Blocks in all. */
  readonly blocks: number;
  /** Visits every block in order at a layer. @param also what the visitor needs of the pool. */
  visitLayer(layer: number, also: readonly Pooled<unknown>[], visit: FitVisitor): Promise<void>;
  /** Releases what is kept. The walk can go on, from the embedding. */
  dispose(): void;
}

/** A run of a block at the input of a layer. */
interface StandingRun {
  readonly frame: Frame;
  resid_RD: Tensor;
}

/** A group at the input of a layer. Owner of the tensors: this object. */
interface Standing {
  layer: number;
  readonly blocks: { readonly block: FitBlock; readonly runs: StandingRun[] }[];
}

/** Begins a walk: nothing is computed yet. Owner: caller. */
export function openFitWalk(model: Model, groups: readonly (readonly FitBlock[])[]): FitWalk {
  let kept: Standing | null = null;
  const drop = (): void => {
    if (kept !== null) disposeStanding(kept);
    kept = null;
  };
  return {
    blocks: groups.reduce((sum, { length }) => sum + length, 0),
    visitLayer: async (layer, also, visit) => {
      if (kept !== null && kept.layer > layer) drop();
      for (const group of groups) {
        kept ??= { layer: 0, blocks: [] };
        try {
          await climb(model, await started(model, kept, group), { to: layer, also }, visit);
        } catch (error) {
          drop();
          throw error;
        }
        if (groups.length > 1) drop();
      }
    },
    dispose: drop,
  };
}

/** The group at the embedding, unless it has begun. */
async function started(model: Model, standing: Standing, group: readonly FitBlock[]): Promise<Standing> {
  if (standing.blocks.length > 0) return standing;
  for (const block of group) {
    const runs: StandingRun[] = [];
    standing.blocks.push({ block, runs });
    for (const side of SIDES) runs.push(await startBlock(model, idsOf(block, side)));
  }
  return standing;
}

async function climb(
  model: Model,
  standing: Standing,
  { to, also }: { readonly to: number; readonly also: readonly Pooled<unknown>[] },
  visit: FitVisitor,
): Promise<void> {
  const order = Array.from({ length: to - standing.layer + 1 }, (_, i) => standing.layer + i);
  const through = async (layer: number): Promise<void> => {
    for (const { block, runs } of standing.blocks) {
      await withScope(async (own) => {
        const sides = runs.map((run) => {
          const activations = runLayer(model, layer, run);
          for (const one of [activations.attn_z, activations.mlp_out, activations.resid_post]) own(one);
          return activations;
        });
        if (layer === to) await visit(block, sides);
        else for (const [side, run] of runs.entries()) goOn(run, must(sides[side], "side"));
      });
      await breathe();
    }
    if (layer < to) standing.layer = layer + 1;
  };
  await walkLayers(model, order, through, (layer) => (layer === to ? also : []));
}

function goOn(run: StandingRun, { resid_post }: LayerActivations): void {
  run.resid_RD.dispose();
  run.resid_RD = tf.clone(resid_post);
}

function disposeStanding({ blocks }: Standing): void {
  for (const { runs } of blocks)
    for (const { frame, resid_RD } of runs) {
      frame.dispose();
      resid_RD.dispose();
    }
}
