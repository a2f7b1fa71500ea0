/** @file Keys and values of an unintervened run, for rows that start in the middle of its prompts. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { projectQkv } from "../model/attention.js";
import { layerContext, type Model } from "../model/model.js";
import type { Run } from "./capture.js";

/** Keys and values by layer. Owner of the tensors: this object. */
export interface CleanKeys {
  /** Of layer `layer`, flat rows of whole prompts. Computed when first asked for, then kept. */
  at(layer: number): { readonly k_RJ: Tensor; readonly v_RJ: Tensor };
  dispose(): void;
}

/** The keys and values of a run, which must outlive them. Owner: caller. */
export function cleanKeys(model: Model, run: Run): CleanKeys {
  const kept = new Map<number, { readonly k_RJ: Tensor; readonly v_RJ: Tensor }>();
  const compute = (layer: number): { readonly k_RJ: Tensor; readonly v_RJ: Tensor } =>
    tf.tidy(() => {
      const { config, weights, kind, rules } = layerContext(model, layer);
      const { k_RJ, v_RJ } = projectQkv(config, weights, run.input(layer), run.frame.ropes[kind], rules);
      return { k_RJ: tf.keep(k_RJ), v_RJ: tf.keep(v_RJ) }; // Asked for inside other tidies, which they outlive.
    });
  return {
    at: (layer) => {
      const keys = kept.get(layer) ?? compute(layer);
      kept.set(layer, keys);
      return keys;
    },
    dispose: () => {
      for (const { k_RJ, v_RJ } of kept.values()) tf.dispose([k_RJ, v_RJ]);
    },
  };
}
