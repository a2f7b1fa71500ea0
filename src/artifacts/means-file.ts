/** @file `means.safetensors` as the experiments that ablate to means read it. */
import type { NodeKind } from "../nodes/kinds.js";
import { parseNodeHook } from "../nodes/node.js";
import { siteHook } from "../nodes/site.js";
import type { ReadArtifact } from "../run/artifacts.js";
import { decodeSafetensors } from "../weights/safetensors.js";

/** The artifact's name. */
export const MEANS_FILE = "means.safetensors";

/** Mean activations, keyed by site hook. Arrays may hold more positions than the prompts have. */
export interface Means {
  /** `[T, F]`. */
  readonly features: ReadonlyMap<string, Float32Array>;
  /** `[T, D]`. */
  readonly errors: ReadonlyMap<string, Float32Array>;
  /** `[T, D]` of each whole site, where there are no SAEs. */
  readonly sites: ReadonlyMap<string, Float32Array>;
}

/** Reads the means, keyed by site hook. */
export async function readMeans(read: ReadArtifact): Promise<Means> {
  const { arrays } = decodeSafetensors(await read(MEANS_FILE), { file: MEANS_FILE });
  const pick = (kind: NodeKind): Map<string, Float32Array> =>
    new Map(
      [...arrays].flatMap(([key, { values }]) => {
        const at = parseNodeHook(key);
        return at?.kind === kind ? [[siteHook(at), values as Float32Array]] : [];
      }),
    );
  return { features: pick("feature"), errors: pick("error"), sites: pick("site") };
}
