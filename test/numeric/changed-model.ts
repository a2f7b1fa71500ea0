/** @file A loaded model with some weights replaced, for tests. */
import { spliceModel, type SplicedModel } from "../../src/passes/spliced-model.js";
import type { SiteAt } from "../../src/nodes/site.js";
import type { LayerWeights } from "../../src/model/layer-context.js";
import type { Disposable } from "../../src/model/tensor-scope.js";
import { WeightPool, type Pooled } from "../../src/model/weight-pool.js";
import type { Sae } from "../../src/sae/sae.js";

/** What is replaced; the tensors stay the callers'. */
export interface Changes {
  readonly layer?: (weights: LayerWeights, layer: number) => LayerWeights;
  readonly sae?: (sae: Sae, at: SiteAt) => Sae;
}

/** The model on changed weights. It owns nothing. */
export async function changedModel({ model, saes }: SplicedModel, { layer, sae }: Changes): Promise<SplicedModel> {
  const pool = new WeightPool();
  const add = <Held extends Disposable>(held: Held): Pooled<Held> =>
    pool.add({ bytes: 0, load: () => Promise.resolve({ ...held, dispose: () => undefined }) });
  const layers = model.layers.map((one, i) => {
    const { weights } = one.now();
    return add({ weights: layer === undefined ? weights : layer(weights, i), dispose: () => undefined });
  });
  const placed = saes.map((one) => ({ ...one, sae: add(sae === undefined ? one.sae.now() : sae(one.sae.now(), one)) }));
  await pool.fill();
  return spliceModel({ ...model, layers, pool }, placed);
}
