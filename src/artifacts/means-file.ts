/** @file `means.safetensors` as the experiments that ablate to means read it. */
import { KINDS, type NodeKindDescription } from "../nodes/kinds.js";
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
  /** `[T, D]` of each whole site, where there are no SAEs; of neurons where circuits are made of them. */
  readonly sites: ReadonlyMap<string, Float32Array>;
}

/** Reads the means, keyed by site hook. */
export async function readMeans(read: ReadArtifact): Promise<Means> {
  const { arrays } = decodeSafetensors(await read(MEANS_FILE), { file: MEANS_FILE });
  const pick = (states: NodeKindDescription["states"]): Map<string, Float32Array> =>
    new Map(
      [...arrays].flatMap(([key, { values }]) => {
        const at = parseNodeHook(key);
        const isOne = at !== undefined && KINDS[at.kind].states === states;
        return isOne ? [[siteHook(at), values as Float32Array]] : [];
      }),
    );
  return { features: pick("features"), errors: pick("errors"), sites: pick("slices") };
}
