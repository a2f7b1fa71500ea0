/** @file Errors that any linear function splits: what holds for one holds for the one that was fitted. */
import { must } from "../../src/base/assert.js";
import { createRng } from "../../src/base/rng.js";
import { siteHook } from "../../src/nodes/site.js";
import { withErrorFits } from "../../src/passes/fitted-model.js";
import type { SplicedModel } from "../../src/passes/spliced-model.js";
import type { FitArrays } from "../../src/sae/error-fit.js";

/** The model with a random function at each of its SAEs, and these by site hook. @param scale - of its numbers. */
export async function withRandomFits(
  plain: SplicedModel,
  scale: number,
): Promise<{ readonly spliced: SplicedModel; readonly fits: ReadonlyMap<string, FitArrays> }> {
  const rng = createRng(2, "fits");
  const array = (size: number): Float32Array => Float32Array.from({ length: size }, () => scale * rng.normal());
  const fits = new Map<string, FitArrays>();
  for (const { site, layer, sae } of plain.saes) {
    const { dIn } = sae.now();
    fits.set(siteHook({ site, layer }), { A: array(dIn * dIn), b: array(dIn) });
  }
  const spliced = withErrorFits(plain, (at) => Promise.resolve(must(fits.get(siteHook(at)), "fit")));
  await spliced.model.pool.fill();
  return { spliced, fits };
}
