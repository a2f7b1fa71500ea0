/** @file Adam, and the learning-rate schedule that every training run here uses. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Variable } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import { cosineOf, powerOf } from "../base/elementary-functions.js";
import { adamStep, type AdamOptions } from "../model/adam-step.js";
import { variableFrom } from "./variable.js";

/** How far an optimiser is: steps taken, and both moments by variable. */
export interface AdamState {
  readonly steps: number;
  readonly first: ReadonlyMap<string, Tensor>;
  readonly second: ReadonlyMap<string, Tensor>;
}

/** Adam's state over a fixed set of variables. Owner: whoever made it. */
export interface Adam {
  /** One step. Gradients are keyed as the variables are; they stay the caller's. */
  apply(gradients: ReadonlyMap<string, Tensor>, learningRate: number): void;
  /** What a later optimiser goes on from. The tensors stay this one's. */
  state(): AdamState;
  dispose(): void;
}

/** Makes an optimiser for the variables; with `from`, whose tensors it takes over, one that goes on where another was. */
export function createAdam(variables: ReadonlyMap<string, Variable>, options: AdamOptions, from?: AdamState): Adam {
  const { beta1, beta2, epsilon } = options;
  const moments = (values: ReadonlyMap<string, Tensor> | undefined): Map<string, Variable> =>
    new Map(
      [...variables].map(([name, { shape }]) => [name, variableFrom(values?.get(name) ?? tf.zeros(shape), false)]),
    );
  const [first, second] = [moments(from?.first), moments(from?.second)];
  let steps = from?.steps ?? 0;
  const apply = (gradients: ReadonlyMap<string, Tensor>, learningRate: number): void => {
    steps++;
    const rate = (learningRate * Math.sqrt(1 - powerOf(beta2, steps))) / (1 - powerOf(beta1, steps));
    const scaledEpsilon = epsilon * Math.sqrt(1 - powerOf(beta2, steps));
    tf.tidy(() => {
      for (const [name, variable] of variables) {
        const gradient = must(gradients.get(name), `gradient of ${name}`);
        const [m, v] = [must(first.get(name), name), must(second.get(name), name)];
        const now = { value: variable, first: m, second: v, gradient };
        const after = adamStep(now, { beta1, beta2, rate, epsilon: scaledEpsilon });
        variable.assign(after.value);
        m.assign(after.first);
        v.assign(after.second);
      }
    });
  };
  return {
    apply,
    state: () => ({ steps, first, second }),
    dispose: () => {
      for (const moment of [...first.values(), ...second.values()]) moment.dispose();
    },
  };
}

/** Linear warm-up to `peak`, then half a cosine down to 0 at the last step; `step` counts from 0. */
export function learningRateAt(step: number, schedule: { peak: number; warmUpSteps: number; steps: number }): number {
  const { peak, warmUpSteps, steps } = schedule;
  if (step < warmUpSteps) return (peak * (step + 1)) / warmUpSteps;
  const done = (step - warmUpSteps) / Math.max(1, steps - warmUpSteps);
  return (peak * (1 + cosineOf(Math.PI * done))) / 2;
}
