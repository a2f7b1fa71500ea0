/** @file Every number that decides what the tiny world's files hold. */
import type { ModelTraining } from "./train-model.js";
import type { SaeTraining } from "./sae-trainer.js";

/** Settings of one build of the world. */
export interface WorldSettings {
  readonly seed: number;
  /** Most pairs of each family in a split; a family that has fewer gives all it has. */
  readonly pairs: { readonly train: number; readonly test: number };
  readonly model: ModelTraining;
  /** Sentences whose activations train the SAEs, and other sentences on which they are measured. */
  readonly saeSentences: { readonly train: number; readonly figures: number };
  readonly sae: SaeTraining;
}

/** The world that is checked in. */
export const WORLD: WorldSettings = {
  seed: 0,
  pairs: { train: 400, test: 300 },
  model: { seed: 0, steps: 1800, batch: 64, peakLearningRate: 3e-3, warmUpSteps: 50, beta2: 0.98 },
  saeSentences: { train: 4000, figures: 600 },
  sae: {
    seed: 0,
    dSae: 256,
    steps: 600,
    batch: 512,
    peakLearningRate: 2e-3,
    warmUpSteps: 50,
    targetFvu: 0.1,
    sparsity: 1e-3,
    steering: 0.03,
    deadPull: 1e-3,
    bandwidth: 0.05,
    initialThreshold: 0.01,
  },
};
