/** @file Starts the torch backend. */
import * as tf from "@tensorflow/tfjs-core";
import { PatchbayError } from "../base/errors.js";
import { torchSettings } from "./torch-probe.js";
import { loadTorchAddon } from "./torch-addon.js";
import { TorchBackend } from "./torch-backend.js";
import { registerTorchKernels } from "./torch-kernels.js";
import { registerOwnKernels } from "./torch-own-kernels.js";

const NAME = "torch";

let registered = false;

/**
 * Makes torch the backend of every tfjs call in this process.
 *
 * @throws PatchbayError `not_built` when the addon has not been built or does not load.
 */
export async function startTorch(): Promise<void> {
  if (!registered) {
    // libtorch reads its settings when it loads; an engine process has them from the start.
    process.env["OMP_WAIT_POLICY"] ??= "passive";
    const addon = loadTorchAddon();
    const { device, tf32 } = torchSettings(process.env, addon.gpuProblem() === "");
    addon.useDevice(device);
    addon.allowTf32(tf32);
    tf.registerBackend(NAME, () => new TorchBackend(addon));
    registerTorchKernels(NAME);
    if (device === "cpu") registerOwnKernels(NAME); // They read memory of the host.
    registered = true;
  }
  if (!(await tf.setBackend(NAME))) throw new PatchbayError("application", "the torch backend did not start");
}
