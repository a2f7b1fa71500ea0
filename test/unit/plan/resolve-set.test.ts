/** @file Nodes of sets on a small model: what is drawn keeps its probability, and counterparts are other nodes, of whatever kind. */
import { describe, expect, it } from "vitest";
import { resolveSet, type ResolvedSet, type SetContext } from "../../../src/plan/resolve-set.js";
import type { SetExpression } from "../../../src/plan/set-expression.js";

const FEATURES = "blocks.0.hook_resid_post.hook_sae_acts_post";
const ERRORS = "blocks.0.hook_resid_post.hook_sae_error";
const SITES = [
  { site: "resid_post", layer: 0, dSae: 10 },
  { site: "resid_post", layer: 1, dSae: 10 },
] as unknown as SetContext["saes"];

const CONTEXT: SetContext = {
  shape: { nLayers: 2, nHeads: 1, dMlp: 1 } as unknown as SetContext["shape"],
  saes: SITES,
  sites: SITES,
  lengths: { longest: 2, areMixed: false },
  sets: {
    drawn: { kind: "feature", at: 1, sample: { n: 3, seed: 1, strata: "none" } },
    strong: { kind: "feature", at: 1, top: 1 },
  },
  kinds: ["feature", "error"],
  by: "atp",
  seed: 0,
  // Features 0 to 9 of position 1 have scores 0 to 9; errors have 4.4.
  scores: () => (hook) => (index) => (hook.endsWith("error") ? 4.4 : index - 10),
};

const resolve = (expression: SetExpression): ResolvedSet => resolveSet(expression, CONTEXT);
const indexes = ({ nodes }: ResolvedSet, hook: string): number[] => [...(nodes.get(hook) ?? [])];
const chances = ({ nodes, drawn }: ResolvedSet): number[] =>
  [...(nodes.get(FEATURES) ?? [])].map((index) => drawn.get(FEATURES)?.get(index)?.inclusionProbability ?? 1);

describe("a set of drawn nodes", () => {
  it("keeps its probabilities within another set, in a union with itself, and less another", () => {
    for (const expression of [{ set: "drawn", layers: 0 }, ["drawn", "drawn"], { set: "drawn", minus: "strong" }])
      for (const chance of chances(resolve(expression))) expect(chance).toBeCloseTo(0.3, 12);
  });

  it("has the product of the probabilities where it is drawn from again", () => {
    const twice = resolve({ set: "drawn", sample: { n: 2, seed: 2, strata: "none" } });
    expect(chances(twice)).toHaveLength(2);
    for (const chance of chances(twice)) expect(chance).toBeCloseTo((0.3 * 2) / 3, 12);
  });

  it("takes nodes of a union with certainty where a part does, and else by the likeliest draw that took them", () => {
    expect(chances(resolve(["drawn", { kind: "feature", at: 1 }]))).toEqual(Array(10).fill(1));
    const half: SetExpression = { kind: "feature", at: 1, sample: { n: 5, seed: 2, strata: "none" } };
    const second = indexes(resolve(half), FEATURES);
    const union = resolve([half, "drawn"]);
    const expected = indexes(union, FEATURES).map((index) => (second.includes(index) ? 0.5 : 0.3));
    expect(new Set(expected).size).toBe(2);
    expect(expected.length).toBeLessThan(8);
    expect(chances(union)).toEqual(expected);
  });
});

describe("a counterpart", () => {
  const matched = (term: object, to: SetExpression, how = "closest"): ResolvedSet =>
    resolve({ layers: 0, at: 1, ...term, match: { to, how } } as SetExpression);

  it("is another node of the same kind where the set has such nodes", () => {
    const rest = matched({ set: { kind: "feature", minus: "strong" } }, "strong");
    expect(indexes(rest, FEATURES)).toEqual([18]);
    expect(indexes(matched({ kind: "feature" }, "strong"), FEATURES)).toEqual([18]);
    expect(indexes(matched({ kind: "feature" }, "strong", "committee"), FEATURES)).toEqual([17, 18]);
  });

  it("is one node of all the kinds of the set", () => {
    const feature: SetExpression = { kind: "feature", at: 1, layers: 0, features: [5] };
    const closest = matched({}, feature);
    expect([indexes(closest, FEATURES), indexes(closest, ERRORS)]).toEqual([[], [1]]);
    const error: SetExpression = { kind: "error", at: 1 };
    const others = matched({}, error);
    expect([indexes(others, FEATURES), indexes(others, ERRORS)]).toEqual([[14], []]);
  });
});
