/** @file A whole SAE of a folder, for tests: the product reads an SAE's arrays as a layer needs them. */
import { withSaeFile, type SaeEntry, type SaeWeights } from "../src/weights/sae-folder.js";

/**
 * Reads an SAE's weights.
 * @throws PatchbayError `bad_input` when the file is damaged, `non_finite` naming the array.
 */
export async function readSae(entry: SaeEntry): Promise<SaeWeights> {
  const { dIn, dSae } = entry;
  return await withSaeFile(entry, async (file) => ({
    dIn,
    dSae,
    W_enc: await file.read("W_enc"),
    W_dec: await file.read("W_dec"),
    b_enc: await file.read("b_enc"),
    b_dec: await file.read("b_dec"),
    threshold: await file.read("threshold"),
  }));
}
