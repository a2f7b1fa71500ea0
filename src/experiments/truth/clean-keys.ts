/** @file Queries, keys and values of an unintervened run, for rows that differ from it in some positions only. */
import * as tf from "@tensorflow/tfjs-core";
import { projectQkv, type Qkv } from "../../model/attention.js";
import { layerContext, type Model } from "../../model/model.js";
import type { Run } from "../../passes/capture.js";

/** Queries, keys and values by layer. Owner of the tensors: this object. */
export interface CleanKeys {
  /** Of layer `layer`, flat rows of whole prompts. Computed when first asked for, then kept. */
  at(layer: number): Qkv;
  dispose(): void;
}

/** Those of a run, which must outlive them. Owner: caller. */
export function cleanKeys(model: Model, run: Run): CleanKeys {
  const kept = new Map<number, Qkv>();
  const compute = (layer: number): Qkv =>
    tf.tidy(() => {
      const context = layerContext(model, layer);
      const { q_RZ, k_RJ, v_RJ } = projectQkv(context, run.input(layer), run.frame.ropes[context.kind]);
      return { q_RZ: tf.keep(q_RZ), k_RJ: tf.keep(k_RJ), v_RJ: tf.keep(v_RJ) }; // Asked for inside other tidies, which they outlive.
    });
  return {
    at: (layer) => {
      const keys = kept.get(layer) ?? compute(layer);
      kept.set(layer, keys);
      return keys;
    },
    dispose: () => {
      for (const qkv of kept.values()) tf.dispose({ ...qkv });
    },
  };
}
