/** @file A buffer of activations at several sites: filled by the model block by block, read row by row. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { assert, must } from "../base/assert.js";
import { siteHook, SAE_SITES, type SaeSiteAt } from "../nodes/site.js";
import { runLayer, startBlock } from "../model/forward.js";
import type { Model } from "../model/model.js";
import { siteWidth } from "../families/family.js";
import type { Block } from "./sae-schedule.js";

/** Rows of several sites on the host; row r is the same token at every site. */
export interface ActivationBuffer {
  readonly rows: number;
  /** Runs the blocks and holds their rows instead of what was there. */
  fill(blocks: readonly Block[]): Promise<void>;
  /** All rows of a site, `[rows, D]` flat; valid until the next fill. */
  all(at: SaeSiteAt): Float32Array;
  /** The named rows of a site, `[rows.length, D]`. Owner: caller. */
  take(at: SaeSiteAt, rows: Uint32Array): Tensor;
}

/** A buffer of at most `capacity` rows. Tokens in `skip` leave no row. */
export function createBuffer(
  model: Model,
  sites: readonly SaeSiteAt[],
  capacity: number,
  skip: ReadonlySet<number>,
): ActivationBuffer {
  const held = new Map(sites.map((at) => [siteHook(at), new Float32Array(capacity * siteWidth(at, model.config))]));
  const valuesOf = (at: SaeSiteAt): Float32Array => must(held.get(siteHook(at)), siteHook(at));
  let count = 0;
  const fill = async (blocks: readonly Block[]): Promise<void> => {
    count = 0;
    for (const block of blocks) {
      assert(count + block.rows <= capacity, "the blocks of a fill have at most as many rows as the buffer");
      const kept = keptRows(block, skip);
      assert(kept.length === block.rows, "a block's rows are its tokens that are not skipped");
      await visitSites(model, sites, block, (at, activation) => {
        copyRows(activation, kept, valuesOf(at), count * siteWidth(at, model.config));
      });
      count += kept.length;
    }
  };
  return {
    get rows() {
      return count;
    },
    fill,
    all: (at) => valuesOf(at).subarray(0, count * siteWidth(at, model.config)),
    take: (at, rows) => {
      const [values, width] = [valuesOf(at), siteWidth(at, model.config)];
      const taken = new Float32Array(rows.length * width);
      for (const [i, row] of rows.entries()) taken.set(values.subarray(row * width, (row + 1) * width), i * width);
      return tf.tensor2d(taken, [rows.length, width]);
    },
  };
}

/** Runs a block through the layers up to the last that has a site, and shows each site's activation. */
async function visitSites(
  model: Model,
  sites: readonly SaeSiteAt[],
  { sequences }: Block,
  visit: (at: SaeSiteAt, activation: Tensor) => void,
): Promise<void> {
  const last = Math.max(...sites.map(({ layer }) => layer));
  const { resid_RD, frame } = await startBlock(model, sequences);
  let current = resid_RD;
  for (let layer = 0; layer <= last; layer++) {
    const activations = runLayer(model, layer, { resid_RD: current, frame });
    for (const site of SAE_SITES)
      if (sites.some((at) => at.layer === layer && at.site === site)) visit({ site, layer }, activations[site]);
    tf.dispose([current, activations.attn_z, activations.mlp_out]);
    current = activations.resid_post;
  }
  current.dispose();
  frame.dispose();
}

/** Rows of a block whose token is trained on. */
function keptRows({ sequences }: Block, skip: ReadonlySet<number>): number[] {
  return sequences.flat().flatMap((id, row) => (skip.has(id) ? [] : [row]));
}

function copyRows(activation: Tensor, kept: readonly number[], into: Float32Array, offset: number): void {
  const width = must(activation.shape[1], "width");
  const values = activation.dataSync<"float32">();
  for (const [i, row] of kept.entries()) into.set(values.subarray(row * width, (row + 1) * width), offset + i * width);
}
