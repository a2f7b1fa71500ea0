/** @file `saes.parquet`: a row per SAE of a run, with the names by which other tools know it. */
import { neuronpediaUrl } from "../hub/published-sae.js";
import { siteHook } from "../nodes/site.js";
import type { SaeSite } from "../plan/plan.js";
import { artifactMetadata, type Provenance } from "./artifact-metadata.js";
import { type Column, encodeParquet } from "./parquet.js";

/** Encodes the SAEs of a plan. Names are null where none is known. */
export function encodeSaes(provenance: Provenance): Uint8Array {
  const { saes } = provenance.plan;
  const integers = (name: string, of: (sae: SaeSite) => number): Column => ({
    name,
    type: "INT32",
    values: Int32Array.from(saes, of),
  });
  const strings = (name: string, of: (sae: SaeSite) => string | null | undefined): Column => ({
    name,
    type: "STRING",
    nullable: true,
    values: saes.map((sae) => of(sae) ?? null),
  });
  const columns = [
    { ...strings("hook", siteHook), nullable: false },
    { ...strings("site", ({ site }) => site), nullable: false },
    integers("layer", ({ layer }) => layer),
    integers("d_in", ({ dIn }) => dIn),
    integers("width", ({ dSae }) => dSae),
    strings("release", ({ published }) => published?.release),
    strings("sae_id", ({ published }) => published?.saeId),
    strings("neuronpedia_id", ({ published }) => published?.neuronpediaId),
    strings("neuronpedia_url", ({ published }) => neuronpediaUrl(published)),
  ];
  return encodeParquet([columns], artifactMetadata(provenance, "none"));
}
