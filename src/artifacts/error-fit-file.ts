/** @file `error-fit-<site hook>.safetensors` as the experiments that split errors read it. A file holds one site: all of a large model's are gigabytes. */
import { siteHook, type SiteAt } from "../nodes/site.js";
import type { ReadArtifact } from "../run/artifacts.js";
import type { FitArrays } from "../sae/error-fit.js";
import { decodeSafetensors } from "../weights/safetensors.js";
import { float32 } from "./payload-arrays.js";

/** The artifact's name. */
export const errorFitFile = (at: SiteAt): string => `error-fit-${siteHook(at)}.safetensors`;

/** How far the fit of each site goes. */
export const ERROR_FITS_FILE = "error-fit.parquet";

/** The stage that writes them. */
export const FIT_STAGE = "fit";

/** What a stage that splits the errors of these sites waits for, and reads. */
export function errorFitInputs(sites: readonly SiteAt[]): { readonly dependsOn: string[]; readonly reads: string[] } {
  return sites.length === 0 ? { dependsOn: [], reads: [] } : { dependsOn: [FIT_STAGE], reads: sites.map(errorFitFile) };
}

/** Reads the fit of a site. */
export async function readErrorFit(read: ReadArtifact, at: SiteAt): Promise<FitArrays> {
  const file = errorFitFile(at);
  const { arrays } = decodeSafetensors(await read(file), { file });
  return { A: float32(arrays, `${siteHook(at)}.A`), b: float32(arrays, `${siteHook(at)}.b`) };
}
