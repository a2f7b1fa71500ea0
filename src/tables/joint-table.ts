/** @file Sets of nodes that a run patched all at once, beside their nodes one by one and their scores. */
import type { JointPatch } from "../experiments/truth/report/validation-file.js";
import { around } from "../report/normal-interval.js";
import { bounded, plain, type Section } from "./table.js";

/** A row for each set; null where the run patched none. @param scores - names of the sweep's scores. */
export function jointSection(joint: readonly JointPatch[], scores: readonly string[]): Section | null {
  if (joint.length === 0) return null;
  const rows = joint.map(({ set, size, effect, effect_sem, single_effects, single_effects_sem, scores: sums }) => [
    plain(set),
    plain(size),
    bounded(around(effect ?? Number.NaN, effect_sem ?? Number.NaN)),
    bounded(around(single_effects ?? Number.NaN, single_effects_sem ?? Number.NaN)),
    ...scores.map((name) => bounded(around(sums[name] ?? Number.NaN, Number.NaN))),
  ]);
  const columns = ["set", "nodes", "effect", "sum of single effects", ...scores.map((name) => `sum of ${name}`)];
  return { title: "Sets patched at once", tables: [{ title: "Mean effects over prompts", columns, rows, grouped: false }] }; // prettier-ignore
}
