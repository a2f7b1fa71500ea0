/** @file `validation.json`: how well each score predicts the true effects, per group, and the noise floor. */
import { must } from "../../base/assert.js";
import { GLOBAL_POSITION } from "../../nodes/node.js";
import type { PromptMatrix } from "../../stats/bootstrap.js";
import { numericFloor, type NumericFloor, splitHalfReliability } from "../../stats/reliability.js";
import { validateGroup } from "../../stats/validation.js";
import { artifactMetadata, type Provenance } from "../../artifacts/artifact-metadata.js";
import { forEachRecord, type RecordSource } from "../../artifacts/stage-records.js";
import { effectAt, listedSlots, type TruthTable } from "./truth-table.js";
import { decodeTruth } from "./payload.js";
import type { ListedNode } from "./node-table.js";
import { truthTask } from "./task.js";

/** A group of nodes: one kind at one site; one position, or all (null), or patched at all positions at once. */
interface Group {
  readonly kind: ListedNode["kind"];
  readonly site: ListedNode["site"];
  readonly position: number | null;
  readonly global: boolean;
  /** Rows of the node list. */
  readonly members: readonly number[];
}

/** Computes every group's statistics: the text of `validation.json`. */
export async function validationText(source: RecordSource, table: TruthTable, provenance: Provenance): Promise<string> {
  const { plan } = source;
  const groups = groupsOf(table.nodes);
  const effects = groups.map((group) => matrixOf(table, group, (p, n) => effectAt(table, p, n)));
  const statistics = [...table.scores].flatMap(([score, values]) =>
    groups.map(({ members, ...names }, g) => ({
      score,
      ...names,
      ...validateGroup({
        truth: must(effects[g], "effects"),
        score: matrixOf(table, { members }, (p, n) => must(values[p * table.nodes.length + n], score)),
        weights: Float64Array.from(members, (n) => 1 / must(table.nodes[n], "node").inclusionProbability),
        seed: plan.sweep.seed,
      }),
    })),
  );
  const floors = await readFloors(source, table, groups);
  const reliability = groups.flatMap(({ members, ...names }, g) =>
    names.position === null
      ? [
          {
            ...names,
            split_half: splitHalfReliability(must(effects[g], "effects"), plan.sweep.seed),
            numeric: floors[g] ?? null,
          },
        ]
      : [],
  );
  const text = JSON.stringify(
    { metadata: artifactMetadata(provenance, "none"), groups: statistics, reliability },
    null,
    1,
  );
  return `${text}\n`;
}

/** (kind, site) and (kind, site, position), in node order; nodes patched at all positions at once are groups of their own. */
function groupsOf(nodes: readonly ListedNode[]): Group[] {
  const groups = new Map<string, { group: Omit<Group, "members">; members: number[] }>();
  const put = (group: Omit<Group, "members">, n: number): void => {
    const key = JSON.stringify(group);
    const found = groups.get(key);
    if (found === undefined) groups.set(key, { group, members: [n] });
    else found.members.push(n);
  };
  nodes.forEach(({ kind, site, position }, n) => {
    const global = position === GLOBAL_POSITION;
    put({ kind, site, position: null, global }, n);
    if (!global) put({ kind, site, position, global }, n);
  });
  return [...groups.values()].map(({ group, members }) => ({ ...group, members }));
}

function matrixOf(
  { prompts, nodes, present }: TruthTable,
  { members }: Pick<Group, "members">,
  value: (p: number, n: number) => number,
): PromptMatrix {
  const values = new Float64Array(prompts * members.length);
  const mask = new Uint8Array(values.length);
  for (let p = 0; p < prompts; p++) {
    members.forEach((n, i) => {
      if (present[p * nodes.length + n] !== 1) return;
      values[p * members.length + i] = value(p, n);
      mask[p * members.length + i] = 1;
    });
  }
  return { prompts, nodes: members.length, values, present: mask.includes(0) ? mask : null };
}

/** Compares the repeated truth (another block shape) with the first, for the groups without a position. */
async function readFloors(
  source: RecordSource,
  table: TruthTable,
  groups: readonly Group[],
): Promise<(NumericFloor | null)[]> {
  const pairs = groups.map(() => ({ first: [] as number[], again: [] as number[] }));
  for (const { id, task } of source.plan.stages) {
    if (truthTask(task)?.floor !== true) continue;
    await forEachRecord(source, id, (shard, payload) => {
      const { start, end, width, column } = listedSlots(shard, table.nodes);
      if (start >= end) return;
      const { metricClean, metricPatched } = decodeTruth(payload);
      groups.forEach((group, g) => {
        if (group.position !== null) return;
        for (const n of group.members) {
          if (n < start || n >= end) continue;
          shard.prompts.forEach((prompt, row) => {
            if (table.present[prompt * table.nodes.length + n] !== 1) return;
            must(pairs[g], "pair").first.push(effectAt(table, prompt, n));
            must(pairs[g], "pair").again.push(
              must(metricPatched[row * width + column(n)], "metric") - must(metricClean[row], "metric"),
            );
          });
        }
      });
    });
  }
  return pairs.map(({ first, again }) =>
    first.length === 0 ? null : numericFloor(Float64Array.from(first), Float64Array.from(again)),
  );
}
