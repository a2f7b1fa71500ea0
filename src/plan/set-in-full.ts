/** @file What decides the nodes of a set: the set with what its names, scores and seeds stand for. For the keys of shards. */
import { must } from "../base/assert.js";
import { isList, isScored, setCalled, type SetExpression, setsOf } from "./set-expression.js";
import type { KeyInputs } from "./shard-keys.js";

/** A set, and the scores and the seed of its terms that name none. */
interface WrittenSet {
  readonly expression: SetExpression;
  readonly by: string;
  readonly seed: number | undefined;
}

/** A set with what names, scores and seeds stand for. */
export function setInFull(
  { expression, by: otherwise, seed: given }: WrittenSet,
  { plan, after }: Pick<KeyInputs, "plan" | "after">,
): unknown {
  const named = setsOf(plan.sweep);
  const seed = given ?? plan.sweep.seed;
  const inFull = (one: SetExpression): unknown => {
    if (typeof one === "string") return inFull(must(setCalled(one, named), one));
    if (isList(one)) return one.map(inFull);
    const { set, match, minus, by = otherwise, sample, ...rest } = one;
    return {
      ...rest,
      by: isScored(one) ? after(`scores-${by}`) : null,
      ...(set === undefined ? {} : { set: inFull(set) }),
      ...(match === undefined ? {} : { match: { how: match.how, to: inFull(match.to) } }),
      ...(minus === undefined ? {} : { minus: inFull(minus) }),
      ...(sample === undefined ? {} : { sample: { seed, ...sample } }),
    };
  };
  return inFull(expression);
}
