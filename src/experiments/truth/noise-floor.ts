/** @file The noise floor of true effects: halves of the prompts against each other, and the same effects computed again. */
import { must } from "../../base/assert.js";
import type { Clusters } from "../../stats/clusters.js";
import { numericFloor, splitHalfReliability, type NumericFloor, type SplitHalf } from "../../stats/reliability.js";
import { forEachRecord, type RecordSource } from "../../artifacts/stage-records.js";
import { decodeTruth } from "./payload.js";
import { truthTask } from "./task.js";
import { effectAt, listedSlots, type TruthTable } from "./truth-table.js";
import { effectsOf, type Family } from "./validation-groups.js";

/** The noise floor of one family, in the spelling of validation.json. */
export interface FamilyReliability {
  readonly kind: Family["kind"];
  readonly site: Family["site"];
  readonly position: null;
  readonly global: boolean;
  readonly split_half: SplitHalf;
  /** Null where the effects were not computed again. */
  readonly numeric: NumericFloor | null;
}

/** The noise floor of each family. */
export async function noiseFloors(
  source: RecordSource,
  table: TruthTable,
  families: readonly Family[],
  clusters: Clusters,
): Promise<FamilyReliability[]> {
  const repeated = await repeatedEffects(source, table, families);
  return families.map((family, f) => {
    const { first, again } = must(repeated[f], "pair");
    return {
      kind: family.kind,
      site: family.site,
      position: null,
      global: family.global,
      split_half: splitHalfReliability(effectsOf(table, family), clusters, source.plan.sweep.seed),
      numeric: first.length === 0 ? null : numericFloor(Float64Array.from(first), Float64Array.from(again)),
    };
  });
}

/** Effects that were computed twice, the second time with another block shape. */
async function repeatedEffects(
  source: RecordSource,
  table: TruthTable,
  families: readonly Family[],
): Promise<{ first: number[]; again: number[] }[]> {
  const pairs = families.map(() => ({ first: [] as number[], again: [] as number[] }));
  const familyOf = new Map(families.flatMap(({ members }, f) => members.map((n) => [n, f] as const)));
  for (const { id, task } of source.plan.stages) {
    if (truthTask(task)?.floor !== true) continue;
    await forEachRecord(source, id, (shard, payload) => {
      const { start, end, width, column } = listedSlots(shard, table.nodes);
      if (start >= end) return;
      const { metricClean, metricPatched } = decodeTruth(payload);
      for (let n = start; n < end; n++) {
        const pair = must(pairs[must(familyOf.get(n), "family")], "pair");
        shard.prompts.forEach((prompt, row) => {
          if (table.present[prompt * table.nodes.length + n] !== 1) return;
          pair.first.push(effectAt(table, prompt, n));
          pair.again.push(must(metricPatched[row * width + column(n)], "metric") - must(metricClean[row], "metric"));
        });
      }
    });
  }
  return pairs;
}
