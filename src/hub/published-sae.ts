/** @file An SAE that is published: by which names other tools know it. */

/** Names of a published SAE. */
export interface PublishedSae {
  /** SAELens' release: `gemma-scope-2b-pt-res`. */
  readonly release: string;
  /** SAELens' id within the release: `layer_20/width_16k/average_l0_71`. */
  readonly saeId: string;
  /** Where Neuronpedia has its features: `gemma-2-2b/20-gemmascope-res-16k`; null: no page is known. */
  readonly neuronpediaId: string | null;
}

/** Neuronpedia's page of an SAE, or of one of its features; null where none is known. */
export function neuronpediaUrl(sae: PublishedSae | undefined, feature?: number): string | null {
  const id = sae?.neuronpediaId ?? null;
  return id === null ? null : `https://www.neuronpedia.org/${id}${feature === undefined ? "" : `/${String(feature)}`}`;
}
