/** @file A model together with the SAEs that sit at its sites. */
import { siteHook, type SiteAt } from "../circuit/site.js";
import type { Model } from "../model/model.js";
import type { Sae } from "../sae/sae.js";

/** An SAE and where it sits. */
export interface PlacedSae extends SiteAt {
  readonly sae: Sae;
}

/** What every program runs on. */
export interface SplicedModel {
  readonly model: Model;
  /** In forward order. */
  readonly saes: readonly PlacedSae[];
  /** The SAE at a site; undefined where there is none. */
  sae(at: SiteAt): Sae | undefined;
  /** Releases the model's and the SAEs' tensors. */
  dispose(): void;
}

/** Joins a loaded model and loaded SAEs; takes over their tensors. */
export function spliceModel(model: Model, saes: readonly PlacedSae[]): SplicedModel {
  const byHook = new Map(saes.map((placed) => [siteHook(placed), placed.sae]));
  const dispose = (): void => {
    model.dispose();
    for (const { sae } of saes) sae.dispose();
  };
  return { model, saes, sae: (at) => byHook.get(siteHook(at)), dispose };
}
