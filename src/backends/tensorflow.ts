/** @file Starts the tensorflow backend: the package @tensorflow/tfjs-node-gpu, unmodified, on the TensorFlow it was built with. */
import * as tf from "@tensorflow/tfjs-core";
import { createRequire } from "node:module";
import { PatchbayError } from "../base/errors.js";
import { BUILD_TENSORFLOW, findTensorflow, nodeProblem, tensorflowSettings } from "./tensorflow-probe.js";

const NAME = "tensorflow";

/**
 * Makes TensorFlow the backend of every tfjs call in this process. TensorFlow takes TF_NUM_INTRAOP_THREADS and
 * TF_NUM_INTEROP_THREADS from the environment when it loads.
 *
 * @throws PatchbayError `not_built` when it has not been built, does not load, or does not run on this Node.
 */
export async function startTensorflow(
  folder: string | null = findTensorflow(),
  problem = nodeProblem(),
): Promise<void> {
  if (problem !== null) throw new PatchbayError("not_built", problem);
  if (folder === null)
    throw new PatchbayError(
      "not_built",
      `backend "tensorflow" is not built here: run ${BUILD_TENSORFLOW}, or use "wasm"`,
    );
  Object.assign(process.env, tensorflowSettings());
  try {
    // The package registers itself with the tfjs-core that it finds, which is this project's.
    createRequire(import.meta.url)(folder);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const text = `backend "tensorflow" does not load: ${why}. Run ${BUILD_TENSORFLOW} --force, or use "wasm"`;
    throw new PatchbayError("not_built", text, { cause });
  }
  if (!(await tf.setBackend(NAME))) throw new PatchbayError("application", "the tensorflow backend did not start");
}
