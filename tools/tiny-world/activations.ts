/** @file Activations of a model at all its sites over sentences, BOS and EOS left out: what SAEs are trained on. */
import * as tf from "@tensorflow/tfjs-core";
import { must } from "../../src/base/assert.js";
import { saeSites, siteHook, SAE_SITES } from "../../src/nodes/site.js";
import { runLayer, startBlock } from "../../src/model/forward.js";
import type { Model } from "../../src/model/model.js";
import { siteWidth } from "../../src/families/family.js";
import type { ActivationRows } from "./sae-trainer.js";

const SENTENCES_PER_BLOCK = 64;

/**
 * Runs token sequences (BOS first) and keeps each site's activations at positions 1 and later.
 *
 * Rows follow the sequences grouped by length, shortest first, in their order.
 *
 * @returns rows by site hook.
 */
export async function siteActivations(
  model: Model,
  sequences: readonly (readonly number[])[],
): Promise<Map<string, ActivationRows>> {
  const parts = new Map<string, Float32Array[]>();
  for (const block of blocksOfOneLength(sequences)) {
    const start = await startBlock(model, block);
    const skipBos = (tensor: tf.Tensor): Float32Array => withoutFirstPosition(tensor, block.length);
    let resid_RD = start.resid_RD;
    for (let layer = 0; layer < model.layers.length; layer++) {
      const activations = runLayer(model, layer, { resid_RD, frame: start.frame });
      for (const site of SAE_SITES) {
        const hook = siteHook({ site, layer });
        parts.set(hook, [...(parts.get(hook) ?? []), skipBos(activations[site])]);
      }
      tf.dispose([resid_RD, activations.attn_z, activations.mlp_out]);
      resid_RD = activations.resid_post;
    }
    resid_RD.dispose();
    start.frame.dispose();
  }
  return new Map(
    saeSites(model.config.nLayers).map((at) => {
      const dIn = siteWidth(at, model.config);
      return [siteHook(at), { values: concatenate(must(parts.get(siteHook(at)), siteHook(at))), dIn }];
    }),
  );
}

function blocksOfOneLength(sequences: readonly (readonly number[])[]): (readonly (readonly number[])[])[] {
  const lengths = [...new Set(sequences.map(({ length }) => length))].sort((a, b) => a - b);
  return lengths.flatMap((length) => {
    const alike = sequences.filter((sequence) => sequence.length === length);
    const starts = Array.from(
      { length: Math.ceil(alike.length / SENTENCES_PER_BLOCK) },
      (_, i) => i * SENTENCES_PER_BLOCK,
    );
    return starts.map((start) => alike.slice(start, start + SENTENCES_PER_BLOCK));
  });
}

function withoutFirstPosition(rows: tf.Tensor, batch: number): Float32Array {
  const values = rows.dataSync<"float32">();
  const perSequence = values.length / batch;
  const width = must(rows.shape[1], "width");
  const kept = new Float32Array(values.length - batch * width);
  for (let b = 0; b < batch; b++)
    kept.set(values.subarray(b * perSequence + width, (b + 1) * perSequence), b * (perSequence - width));
  return kept;
}

function concatenate(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
