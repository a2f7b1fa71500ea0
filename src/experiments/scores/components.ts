/** @file Factors of an AtP score: how large the change is, how large the gradient, and how far they point the same way. */
import { must } from "../../base/assert.js";
import type { Components } from "../../artifacts/scores-payload.js";

/** Adds the cosine, which is 0 where a norm is 0. Source: REFERENCE 4. */
export function componentsOf({ deltaNorm, gradNorm, dot }: Omit<Components, "cosine">): Components {
  const cosine = dot.map((value, row) => {
    const product = must(deltaNorm[row], "norm") * must(gradNorm[row], "norm");
    return product === 0 ? 0 : value / product;
  });
  return { deltaNorm, gradNorm, cosine, dot };
}
