/** @file The neurons of a run that did not keep them: computed again from a layer's input and its `z`, with equal bits each time. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import { attendOutput, neurons } from "../model/layer.js";
import type { LayerContext } from "../model/layer-context.js";
import { layerContext, type Model } from "../model/model.js";
import type { Run } from "./capture.js";

/** The neurons of a layer, `[R, M]`. The layer must be on the device. Owner: caller. */
export function neuronsOf(
  context: LayerContext,
  { input_RD, z_RZ }: { readonly input_RD: Tensor; readonly z_RZ: Tensor },
): Tensor {
  return tf.tidy(() => neurons(context, attendOutput(context, input_RD, z_RZ)));
}

/** Those of a run. The layer must be on the device. Owner: caller. */
export function runNeurons(model: Model, run: Run, layer: number): Tensor {
  const z_RZ = run.site({ site: "attn_z", layer });
  return neuronsOf(layerContext(model, layer), { input_RD: run.input(layer), z_RZ });
}

/** Those of several runs, with the layer brought to the device. Owner: caller. */
export async function loadNeurons(model: Model, runs: readonly Run[], layer: number): Promise<Tensor[]> {
  return await model.pool.using([must(model.layers[layer], "layer")], () =>
    runs.map((run) => runNeurons(model, run, layer)),
  );
}
