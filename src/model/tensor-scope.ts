/** @file Ownership of tensors in asynchronous code, where `tf.tidy` cannot be used. */

import * as tf from "@tensorflow/tfjs-core";

/**
 * Gives the host values that `work` computes; every tensor that it made is disposed. (`tf.tidy` would search the values for
 * tensors, number by number.)
 */
export function hostValues<Values>(work: () => Values): Values {
  let values: Values | undefined;
  tf.tidy(() => {
    values = work();
  });
  return values as Values;
}

/** Anything that holds tensors. Disposing it twice is harmless. */
export interface Disposable {
  dispose(): void;
}

/** Takes over `held` until the scope ends; returns it. */
export type Own = <Held extends Disposable>(held: Held) => Held;

/** Runs `work`; whatever it owned is disposed when it ends, also by a throw. */
export async function withScope<Result>(work: (own: Own) => Promise<Result>): Promise<Result> {
  const owned: Disposable[] = [];
  try {
    return await work((held) => {
      owned.push(held);
      return held;
    });
  } finally {
    for (const held of owned) held.dispose();
  }
}
