/**
 * @file A model whose SAEs' errors are split by a run's fits. The fits are parts of the model's pool, as its SAEs are: they come to the
 * device when they are needed, and leave when others need the room.
 */
import { must } from "../base/assert.js";
import { siteWidth } from "../families/family.js";
import { siteHook, type SaeSiteAt, type SiteAt } from "../nodes/site.js";
import type { Plan } from "../plan/plan.js";
import type { ReadArtifact } from "../run/artifacts.js";
import type { Pooled } from "../model/weight-pool.js";
import { type ErrorFit, type FitArrays, loadFit } from "../sae/error-fit.js";
import type { ShardInputs } from "./shard-program.js";
import type { SplicedModel } from "./spliced-model.js";

/** Reads the fit of a site from the run's artifacts. */
type ReadFit = (artifact: ReadArtifact, at: SiteAt) => Promise<FitArrays>;

/** A model that was fitted before, and whose artifacts its fits are read from: those of the latest shard. */
interface Kept {
  readonly model: SplicedModel;
  readonly fitted: SplicedModel;
  artifact: ReadArtifact;
}

const kept = new WeakMap<Plan, Kept>();

/** The run's model with a fit for each of its SAEs; as it is where the plan splits no errors. */
export function fittedModel(
  { plan, model, artifact }: Pick<ShardInputs, "plan" | "model" | "artifact">,
  read: ReadFit,
): SplicedModel {
  if (plan.fitPrompts === undefined) return model;
  const before = kept.get(plan);
  if (before?.model === model) {
    before.artifact = artifact;
    return before.fitted;
  }
  const now: Kept = { model, fitted: withErrorFits(model, (at) => read(now.artifact, at)), artifact };
  kept.set(plan, now);
  return now.fitted;
}

/** The model with fits that `read` gives. */
export function withErrorFits(spliced: SplicedModel, read: (at: SaeSiteAt) => Promise<FitArrays>): SplicedModel {
  const { pool, config } = spliced.model;
  const pooledFit = (at: SaeSiteAt): Pooled<ErrorFit> => {
    const width = siteWidth(at, config);
    const bytes = (width + 1) * width * Float32Array.BYTES_PER_ELEMENT;
    return pool.add({ bytes, load: async () => loadFit(await read(at)) });
  };
  const byHook = new Map(spliced.saes.map((at) => [siteHook(at), pooledFit(at)]));
  const at = (site: SiteAt): Pooled<ErrorFit> => must(byHook.get(siteHook(site)), `the fit of ${siteHook(site)}`);
  return { ...spliced, errorFits: { at, withFit: (site, work) => pool.using([at(site)], () => work(at(site).now())) } };
}
