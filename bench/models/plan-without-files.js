/** @file A plan of Gemma-2 2b's sizes that no file is behind: what benches of reductions and reports write their runs by. */
import { REGISTER } from "../../dist/experiments/registry.js";
import { SAE_SITES } from "../../dist/nodes/site.js";
import { PLAN_VERSION } from "../../dist/plan/plan.js";
import { sweepSchema } from "../../dist/sweep/sweep-schema.js";

export const [LAYERS, FEATURES] = [26, 16_384];

/**
 * Everything but prompts, blocks and stages: scores by their methods, and the truth of all errors and features.
 * @returns {any}
 */
export function planWithoutFiles(name, scores) {
  const asked = {
    name,
    model: { path: "m" },
    dataset: { path: "d" },
    scores: scores.map((method) => ({ name: method, method })),
    truth: { errors: {}, features: "all" },
  };
  const { model: _model, saes: _saes, dataset: _dataset, engine: _engine, ...sweep } = /** @type {any} */ (sweepSchema(REGISTER.experiments).parse(asked)); // prettier-ignore
  return {
    version: PLAN_VERSION,
    sweep: { ...sweep, saes: {}, dataset: {} },
    fingerprints: { model: "a".repeat(64), saes: "b".repeat(64), dataset: "c".repeat(64) },
    shape: { nLayers: LAYERS, dModel: 2304, nHeads: 8, headDim: 256, dMlp: 9216 },
    saes: Array.from({ length: LAYERS }, (_, layer) => SAE_SITES.map((site) => ({ site, layer, dIn: 2304, dSae: FEATURES }))).flat(), // prettier-ignore
    donors: null,
    engine: { threads: 1, blockMib: 64, backend: "wasm" },
  };
}
