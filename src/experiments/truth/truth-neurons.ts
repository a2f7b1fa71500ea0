/** @file How neurons change from the clean run to the donor, and what a patched neuron makes its MLP add. Source: REFERENCE 4. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../../base/assert.js";
import { neuronsOutput } from "../../model/layer.js";
import { layerContext, type Model } from "../../model/model.js";
import { readAndDispose } from "../../model/read-tensor.js";
import { siteHook } from "../../nodes/site.js";
import type { Run } from "../../passes/capture.js";
import { loadNeurons, neuronsOf } from "../../passes/neurons.js";
import { addMeans } from "./truth-changes.js";
import { type DonorRuns, donorRun } from "./truth-donor.js";

/** Changes of the given neurons of a layer, by flat row of the prompts. */
export async function neuronChanges(
  model: Model,
  runs: DonorRuns,
  layer: number,
  named: readonly number[],
): Promise<Map<number, Float32Array>> {
  const { clean, donor } = runs;
  const other = donorRun(runs);
  const [a_RM, b_RM] = await loadNeurons(model, other === null ? [clean] : [clean, other], layer);
  const columns = (neurons_RM: Tensor): Tensor => tf.gather(neurons_RM, tf.tensor1d([...named], "int32"), 1);
  const change_NR = tf.tidy(() => {
    const a = must(a_RM, "clean neurons");
    return tf.transpose(columns(b_RM === undefined ? tf.neg(a) : tf.sub(b_RM, a)));
  });
  tf.dispose([a_RM, b_RM].filter((one) => one !== undefined));
  const rows = must(change_NR.shape[1], "rows");
  const values = await readAndDispose(change_NR);
  const hook = siteHook({ site: "mlp_post", layer });
  const means = donor.kind === "mean" ? must(donor.means.sites.get(hook), `means of ${hook}`) : null;
  return new Map(
    named.map((neuron, n) => {
      const byRow = values.subarray(n * rows, (n + 1) * rows);
      if (means !== null)
        addMeans(byRow, runs, (position) => must(means[position * model.config.dMlp + neuron], "mean"));
      return [neuron, byRow];
    }),
  );
}

/**
 * What the MLP adds with one neuron of each row changed, less what it adds without, `[R, D]`. Both are computed side by side, so that a
 * change of 0 adds exactly 0. The layer must be on the device. Owner: caller.
 *
 * @param flat rows of the clean run that are patched.
 */
export function neuronPatch(
  { model, clean, layer }: { readonly model: Model; readonly clean: Run; readonly layer: number },
  flat: Int32Array,
  { neurons, changes }: { readonly neurons: Int32Array; readonly changes: Float32Array },
): Tensor {
  const context = layerContext(model, layer);
  return tf.tidy(() => {
    const at = tf.tensor1d(flat, "int32");
    const [input_RD, z_RZ] = [clean.input(layer), clean.site({ site: "attn_z", layer })].map((table) =>
      tf.gather(table, at),
    ) as [Tensor, Tensor];
    const neurons_RM = neuronsOf(context, { input_RD, z_RZ });
    const M = must(neurons_RM.shape[1], "neurons");
    const added = new Float32Array(flat.length * M);
    neurons.forEach((neuron, row) => (added[row * M + neuron] = must(changes[row], "change")));
    const patched_RM = tf.add(neurons_RM, tf.tensor2d(added, [flat.length, M]));
    return tf.sub(neuronsOutput(context, patched_RM), neuronsOutput(context, neurons_RM));
  });
}
