/**
 * @file The lender: a finished run whose scores a sweep uses in place of its own (`scores: [{ name: atp, from: runs/NAME }]`).
 *
 * 1. The run is opened when the sweep is read, and its word is taken for how the scores were made.
 * 2. It has to agree with the new run on model, SAEs, dtype, token counts and, where errors are split, on the fit.
 * 3. What is used of it is in the plan by hash: the scores, and its means where anything is ablated to the mean.
 * 4. These artifacts are copied into the new run folder, where stages and workers read them as they read all others.
 */
import { canonicalJson, sha256 } from "../base/hash.js";
import type { FaultList } from "../base/fault-list.js";
import type { Prompt } from "../nodes/prompt.js";
import type { SweepSource } from "../sweep/read-sweep.js";
import { isBorrowed, type ScoreSpec, type Sweep } from "../sweep/sweep.js";
import type { FitDataset } from "./fit-dataset.js";
import { fitOf } from "./fit-spec.js";
import { selectionPrompts } from "./held-out.js";
import type { LenderPlace, Plan } from "./plan.js";
import { positionCounts } from "./prompt-lengths.js";
import { spansOf } from "./span-positions.js";

/** An artifact of the lender, as it was written. */
export interface BorrowedFile {
  readonly name: string;
  /** Where it lies on this machine. */
  readonly path: string;
  readonly sha256: string;
}

/** Which means a run ablates to. */
export interface NeededMeans {
  /** Whether it ablates anything to the mean. */
  readonly means: boolean;
  /** Whether neurons are among it. */
  readonly neurons: boolean;
}

/** A run that lends. */
export interface Lender {
  /** Absolute. */
  readonly folder: string;
  readonly planHash: string;
  readonly plan: Plan;
  /** The sweep's scores, with how the lender made those that are taken from it. */
  readonly scores: readonly ScoreSpec[];
  /**
   * What is taken from it, each file checked against its hash.
   * @throws PatchbayError `bad_input` at the sweep's field for an artifact that is damaged or was never made.
   */
  files(needed: NeededMeans): Promise<readonly BorrowedFile[]>;
}

/** Whether a sweep uses the scores of another run: its means are then those of that run too. */
export function borrows({ scores }: Pick<Sweep, "scores">): boolean {
  return scores.some(isBorrowed);
}

/** The field that names the lender. */
export function lenderField({ scores }: Pick<Sweep, "scores">): (string | number)[] {
  return ["scores", scores.findIndex(isBorrowed), "from"];
}

/** What has to be the same in both runs. */
interface NewRun {
  readonly prompts: readonly Prompt[];
  readonly fit: FitDataset | null;
  readonly fingerprints: Plan["fingerprints"];
}

/** Adds a fault for everything that scores and means depend on and that is another in the lender. */
export function checkLender({ sweep, fault }: SweepSource, { plan }: Lender, run: NewRun, faults: FaultList): void {
  const { fingerprints } = run;
  const compared: (readonly [what: string, there: string, here: string])[] = [
    ["model", plan.fingerprints.model, fingerprints.model],
    ["SAEs", plan.fingerprints.saes ?? "none", fingerprints.saes ?? "none"],
    ["dtype", plan.sweep.dtype, sweep.dtype],
    ["spans", spansIn(plan.sweep), spansIn(sweep)],
    ["token counts of prompts", countsIn(selectionPrompts(plan)), countsIn(run.prompts)],
    ["use of the chat template", usesChat(plan.sweep), usesChat(sweep)],
    ...fitsOf(sweep, plan, run.fit),
  ];
  for (const [what, there, here] of compared) {
    if (there === here) continue;
    const message = `the run has other ${what} than this sweep (${there} there, ${here} here), so its scores and means are of other nodes; name a run on the same ones`;
    faults.attempt(() => {
      throw fault(lenderField(sweep), message);
    });
  }
}

/** Where the lender lies, and how many of the prompts chose there, as either side of a pair. */
export function lenderPlace({ folder, planHash, plan }: Lender, prompts: readonly Prompt[]): LenderPlace {
  const chose = new Set(
    selectionPrompts(plan).flatMap(({ clean, corrupted }) => [clean, corrupted].map((ids) => String(ids))),
  );
  const shared = prompts.filter(({ clean }) => chose.has(String(clean)));
  return { path: folder, plan_hash: planHash, shared_prompts: shared.length };
}

/** Whether the prompts that choose are rendered by the chat template: tokens stand elsewhere in those that are not. */
function usesChat({ dataset }: Pick<Plan["sweep"], "dataset">): string {
  const { chat = false } = "select" in dataset ? dataset.select : dataset;
  return chat ? "chat" : "no chat";
}

function countsIn(prompts: readonly Prompt[]): string {
  return positionCounts(prompts).join(", ");
}

function spansIn(sweep: Parameters<typeof spansOf>[0]): string {
  return spansOf(sweep)?.join(", ") ?? "none";
}

/** Parts of errors have scores only by the fit that split them. */
function fitsOf(sweep: Sweep, { sweep: lent, fitPrompts }: Plan, fit: FitDataset | null): [string, string, string][] {
  const own = fitOf(sweep);
  if (own === undefined || fit === null) return [];
  const hash = (ridge: number, prompts: readonly Prompt[]): string => sha256(canonicalJson([ridge, prompts]));
  const there = fitOf(lent);
  return [
    ["fit of errors", there === undefined ? "none" : hash(there.ridge, fitPrompts ?? []), hash(own.ridge, fit.prompts)],
  ];
}
