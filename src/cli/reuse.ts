/** @file Where `patchbay run` looks for earlier runs, and what it says of what they had. */
import { dirname, join, relative, resolve } from "node:path";
import { counted } from "../base/counted.js";
import { badInput } from "../base/errors.js";
import { checkEarlierRuns, type EarlierRunsAt, type WantingRun, whyNothing } from "../run/earlier-records.js";
import type { ReusedShards } from "../run/run-folder.js";

/** Most earlier runs that a line names. */
const MOST_NAMED = 3;

/** Options of commands that may take over what earlier runs have. */
export interface ReuseOptions {
  readonly reuse?: string;
  readonly fresh: boolean;
}

/** Where earlier runs are looked for. @throws PatchbayError `bad_input`. */
export function earlierRunsOf({ reuse, fresh }: ReuseOptions): EarlierRunsAt {
  if (reuse === undefined) return { kind: fresh ? "nowhere" : "beside" };
  if (fresh) throw badInput("means that nothing is reused; leave it or --reuse out", { field: "--fresh" });
  const at = { kind: "in", folder: resolve(reuse) } as const;
  checkEarlierRuns(at);
  return at;
}

/** `reused 96 of 100 shards from runs/x`; where no shard was, why runs that were named have none, and nothing of others. */
export function reusedText(
  run: WantingRun,
  at: EarlierRunsAt,
  reused: readonly ReusedShards[],
  total: number,
): string | undefined {
  const placeOf = (folder: string): string => relative(process.cwd(), folder) || ".";
  const sum = (some: readonly ReusedShards[]): number => some.reduce((all, { shards }) => all + shards, 0);
  const places = [...new Set(reused.map(({ from }) => from))];
  if (places.length === 0)
    return at.kind === "in" ? `nothing reused from ${placeOf(at.folder)}: ${whyNothing(run, at)}` : undefined;
  const named = places.slice(0, MOST_NAMED).map((from) => placeOf(join(dirname(run.folder), from)));
  const others = places.length > MOST_NAMED ? [counted(places.length - MOST_NAMED, "other")] : [];
  return `reused ${String(sum(reused))} of ${counted(total, "shard")} from ${[...named, ...others].join(", ")}`;
}
