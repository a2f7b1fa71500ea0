/** @file Loads a run's model and SAEs on this machine, and proves that they are the ones the plan was made from. */
import { PatchbayError } from "../base/errors.js";
import { openSpliced, type SplicedModel } from "../passes/spliced-model.js";
import type { InputPaths, Plan } from "../plan/plan.js";
import { openCheckpoint } from "../weights/checkpoint.js";
import { matricesFor, type ComputeType } from "../backends/torch-matrices.js";
import { findSaes, fingerprintSaes } from "../weights/sae-folder.js";

/** A loaded model with its SAEs. Owner: the caller, through `close`. */
export interface LoadedInputs {
  readonly model: SplicedModel;
  /** Releases tensors and files. */
  close(): Promise<void>;
}

/**
 * Loads the model and SAEs of a run.
 * @param budgetBytes what their weights may take on the device; when they need more, they are read again as they are needed.
 * @throws PatchbayError `bad_input` when the folders here hold other weights than the plan names; `non_finite` for a broken
 *   weight.
 */
export async function loadInputs(
  paths: InputPaths,
  { fingerprints }: Pick<Plan, "fingerprints">,
  budgetBytes = Infinity,
  dtype: ComputeType = "float32",
): Promise<LoadedInputs> {
  const checkpoint = await openCheckpoint(paths.model);
  try {
    expectFingerprint("model", paths.model, fingerprints.model, await checkpoint.fingerprint());
    const entries = paths.saes === null ? [] : await findSaes(paths.saes, checkpoint.config, paths.saeOptions);
    if (entries.length > 0)
      expectFingerprint("SAEs", paths.saes ?? "", fingerprints.saes, await fingerprintSaes(entries));
    const model = await openSpliced(checkpoint, entries, budgetBytes, matricesFor(dtype));
    const close = async (): Promise<void> => {
      model.dispose();
      await checkpoint.close();
    };
    return { model, close };
  } catch (error) {
    await checkpoint.close();
    throw error;
  }
}

function expectFingerprint(what: string, path: string, expected: string | null, got: string): void {
  if (expected === got) return;
  throw new PatchbayError(
    "bad_input",
    `${path}: the ${what} on this machine are not the ones the run was planned with (expected ${String(expected).slice(0, 12)}, got ${got.slice(0, 12)}); put the same files here`,
    { detail: { file: path } },
  );
}
