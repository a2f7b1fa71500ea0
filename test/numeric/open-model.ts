/** @file A model that owns its checkpoint's files. */
import { loadModel, type Model } from "../../src/model/model.js";
import { openCheckpoint } from "../../src/weights/checkpoint.js";
import { matricesFor } from "../../src/backends/torch-matrices.js";

/** Opens and loads a checkpoint; its files are closed when the model is disposed. */
export async function openModel(folder: string): Promise<Model> {
  const checkpoint = await openCheckpoint(folder);
  const model = await loadModel(checkpoint, matricesFor("float32"));
  const dispose = (): void => {
    model.dispose();
    void checkpoint.close();
  };
  return { ...model, dispose };
}
