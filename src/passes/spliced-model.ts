/** @file A model together with the SAEs that sit at its sites. All of them are in the model's pool. */
import { must } from "../base/assert.js";
import { siteHook, type SaeSiteAt, type SiteAt } from "../nodes/site.js";
import { FLOAT32_MATRICES } from "../model/matrices.js";
import { openModel, type Model } from "../model/model.js";
import { WeightPool, type Pooled } from "../model/weight-pool.js";
import type { ErrorFit } from "../sae/error-fit.js";
import { findSaeSource, type Sae } from "../sae/sae.js";
import type { Checkpoint } from "../weights/checkpoint.js";
import type { SaeEntry } from "../weights/sae-folder.js";

/** An SAE and where it sits. */
export interface PlacedSae extends SaeSiteAt {
  readonly sae: Pooled<Sae>;
}

/** How the errors of a model's SAEs are split. */
export interface ErrorFits {
  /** The fit of a site, for a walk. */
  at(site: SiteAt): Pooled<ErrorFit>;
  /** Runs `work` with a site's fit on the device. */
  withFit<Result>(site: SiteAt, work: (fit: ErrorFit) => Promise<Result>): Promise<Result>;
}

/** What every program runs on. */
export interface SplicedModel {
  readonly model: Model;
  /** In forward order. */
  readonly saes: readonly PlacedSae[];
  /** The SAE at a site, which is on the device; undefined where there is none. */
  sae(at: SiteAt): Sae | undefined;
  /** The SAEs of a layer, for a walk. */
  readonly saesOf: (layer: number) => readonly Pooled<Sae>[];
  /** Runs `work` with a site's SAE on the device; undefined where there is none. */
  withSae<Result>(at: SiteAt, work: (sae: Sae | undefined) => Promise<Result>): Promise<Result>;
  /** Calls `visit` for each site in order, with its SAE on the device if it has one, and reads the next one's meanwhile. */
  walkSites(sites: readonly SiteAt[], visit: (at: SiteAt) => Promise<void>): Promise<void>;
  /** Absent where errors are not split. */
  readonly errorFits?: ErrorFits;
  /** Releases the model's and the SAEs' tensors. */
  dispose(): void;
}

/** Joins a model and SAEs of its pool. */
export function spliceModel(model: Model, saes: readonly PlacedSae[]): SplicedModel {
  const byHook = new Map(saes.map((placed) => [siteHook(placed), placed.sae]));
  const saesOf = (layer: number): Pooled<Sae>[] => saes.filter((one) => one.layer === layer).map(({ sae }) => sae);
  const withSae = async <Result>(at: SiteAt, work: (sae: Sae | undefined) => Promise<Result>): Promise<Result> => {
    const pooled = byHook.get(siteHook(at));
    if (pooled === undefined) return await work(undefined);
    return await model.pool.using([pooled], () => work(pooled.now()));
  };
  const walkSites = async (sites: readonly SiteAt[], visit: (at: SiteAt) => Promise<void>): Promise<void> => {
    const steps = sites.map((at) => [byHook.get(siteHook(at))].filter((sae) => sae !== undefined));
    await model.pool.walk(steps, (step) => visit(must(sites[step], "site")));
  };
  const dispose = (): void => {
    model.dispose();
  };
  return { model, saes, sae: (at) => byHook.get(siteHook(at))?.now(), saesOf, withSae, walkSites, dispose };
}

/**
 * Opens a model with SAEs, and loads all of it if the budget holds it.
 * @param checkpoint stays open as long as the model is used.
 * @param budgetBytes what the weights may take on the device; when they need more, they are read again as they are needed.
 * @param matrices makes the model's matrices and the SAEs' encoders.
 */
export async function openSpliced(
  checkpoint: Checkpoint,
  entries: readonly SaeEntry[],
  budgetBytes = Infinity,
  matrices = FLOAT32_MATRICES,
): Promise<SplicedModel> {
  const model = await openModel(checkpoint, new WeightPool(budgetBytes), matrices);
  const placed: PlacedSae[] = [];
  for (const entry of entries) {
    const sae = model.pool.add(await findSaeSource(entry, matrices));
    placed.push({ site: entry.site, layer: entry.layer, sae });
  }
  await model.pool.fill();
  return spliceModel(model, placed);
}
