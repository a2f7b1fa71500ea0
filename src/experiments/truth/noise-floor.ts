/** @file The noise floor of true effects: halves of the prompts against each other, and the same effects computed again. */
import { must } from "../../base/assert.js";
import {
  numericFloor,
  splitHalf,
  type NodeLikeness,
  type NumericFloor,
  type SplitHalf,
} from "../../stats/reliability.js";
import { forEachRecord, type RecordSource } from "../../artifacts/stage-records.js";
import { listedSlots } from "./listed-slots.js";
import { decodeTruth } from "./payload.js";
import { truthTask } from "./task.js";
import { effectAt, type TruthTable } from "./truth-table.js";
import { pickColumns } from "./truth-tasks.js";
import type { Family } from "./validation-groups.js";

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

/** What the noise floors of all families are made of. */
export interface NoiseInput {
  readonly prompts: number;
  readonly clusters: number;
  readonly splits: number;
  /** Mean effects, `[N]`. */
  readonly means: Float64Array;
  /** Mean effects in halves, `[count, N]`, from half `first` on. */
  readonly inHalves: (first: number, count: number) => Float64Array;
  /** How alike the effects of the largest nodes are, by family. */
  readonly likeness: readonly (readonly NodeLikeness[])[];
  readonly repeated: readonly RepeatedEffect[];
}

/** The noise floor of each family. */
export function noiseFloors(families: readonly Family[], input: NoiseInput): FamilyReliability[] {
  const { prompts, clusters, splits, means } = input;
  return families.map(({ kind, site, global, members }, f) => {
    const own = new Set(members);
    const pairs = input.repeated.filter(({ n, first }) => own.has(n) && !Number.isNaN(first));
    const inHalf = (half: number): Float64Array => pickColumns(input.inHalves(half, 1), means.length, members);
    return {
      kind,
      site,
      position: null,
      global,
      split_half: splitHalf(splits, inHalf, pickColumns(means, means.length, members), {
        prompts,
        clusters,
        likeness: must(input.likeness[f], "likeness"),
      }),
      numeric:
        pairs.length === 0
          ? null
          : numericFloor(
              Float64Array.from(pairs, ({ first }) => first),
              Float64Array.from(pairs, ({ again }) => again),
            ),
    };
  });
}

/** An effect that was computed twice, the second time with another block shape. */
export interface RepeatedEffect {
  readonly n: number;
  readonly prompt: number;
  /** NaN where the prompt does not count. */
  first: number;
  readonly again: number;
}

/** The second effects; the first are still to be found. */
export async function repeatedEffects(source: RecordSource, nodes: TruthTable["nodes"]): Promise<RepeatedEffect[]> {
  const found: RepeatedEffect[] = [];
  for (const { id, task } of source.plan.stages) {
    if (truthTask(task)?.floor !== true) continue;
    await forEachRecord(source, id, (shard, payload) => {
      const { start, end, width, column } = listedSlots(shard, nodes);
      if (start >= end) return;
      const { metricClean, metricPatched } = decodeTruth(payload);
      for (let n = start; n < end; n++) {
        shard.prompts.forEach((prompt, row) => {
          const again = must(metricPatched[row * width + column(n)], "metric") - must(metricClean[row], "metric");
          found.push({ n, prompt, first: Number.NaN, again });
        });
      }
    });
  }
  return found;
}

/** Takes the first effects from a table of some prompts. @param rowOf - the table's row of a prompt, if it has one. */
export function takeFirstEffects(
  repeated: readonly RepeatedEffect[],
  table: TruthTable,
  rowOf: ReadonlyMap<number, number>,
): void {
  for (const one of repeated) {
    const row = rowOf.get(one.prompt);
    if (row === undefined || table.present[row * table.nodes.length + one.n] !== 1) continue;
    one.first = effectAt(table, row, one.n);
  }
}
