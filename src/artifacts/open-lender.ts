/** @file Opens the finished run whose scores a sweep uses (`src/plan/lender.ts` says what becomes of them). */
import { resolve } from "node:path";
import { must } from "../base/assert.js";
import { PatchbayError } from "../base/errors.js";
import type { BorrowedFile, Lender, NeededMeans } from "../plan/lender.js";
import type { Plan } from "../plan/plan.js";
import { artifactFile, checkArtifact, hasArtifact } from "../run/artifacts.js";
import { completeRun, expectRunFolder, readPlan } from "../run/run-folder.js";
import type { SweepSource } from "../sweep/read-sweep.js";
import { isBorrowed, type ScoreSpec, scoresNeurons } from "../sweep/sweep.js";
import { MEANS_FILE } from "./means-file.js";
import { scoresFile } from "./scores-file.js";

/**
 * Opens the run that a sweep's scores are taken from; undefined where all are its own.
 * @param baseFolder - relative paths start here.
 * @throws PatchbayError `bad_input` naming the field of the scores: for several runs, one that is not complete, and scores that it lacks.
 */
export function openLender(source: SweepSource, baseFolder: string): Lender | undefined {
  const { sweep, fault } = source;
  const borrowed = sweep.scores.flatMap((score, i) => (isBorrowed(score) ? [{ score, i }] : []));
  const [first] = borrowed;
  if (first === undefined) return undefined;
  const folderOf = ({ from }: ScoreSpec): string => resolve(baseFolder, must(from, "from"));
  const folder = folderOf(first.score);
  const other = borrowed.find(({ score }) => folderOf(score) !== folder);
  if (other !== undefined)
    throw fault(
      ["scores", other.i, "from"],
      `scores of one sweep are taken from one run, whose means are used too, and ${first.score.name} is from ${String(first.score.from)}; name that run, or use two sweeps`,
    );
  const at = ["scores", first.i, "from"];
  const { plan, planHash } = located(source, at, () => readLender(folder));
  const scores = sweep.scores.map((score, i) =>
    isBorrowed(score) ? { ...specIn(source, { score, i, plan }), from: planHash } : score,
  );
  const files = async (needed: NeededMeans): Promise<readonly BorrowedFile[]> => {
    expectMeans(source, at, { folder, plan }, needed);
    const names = [...borrowed.map(({ score }) => scoresFile(score.name)), ...(needed.means ? [MEANS_FILE] : [])];
    return Promise.all(names.map((name) => borrowedFile(source, at, { folder, name })));
  };
  return { folder, planHash, plan, scores, files };
}

type Path = readonly (string | number)[];

/** The lender's plan. @throws PatchbayError `bad_input` where the folder holds no run that is complete. */
function readLender(folder: string): { plan: Plan; planHash: string } {
  expectRunFolder(folder);
  const { plan_hash: planHash } = completeRun(
    folder,
    (status) =>
      new PatchbayError(
        "bad_input",
        `expected a complete run in ${folder}, this one is ${status}; see it to its end with the command that began it`,
      ),
  );
  return { plan: readPlan(folder, planHash), planHash };
}

/** How the lender made a score. */
function specIn(
  { fault }: SweepSource,
  { score, i, plan }: { readonly score: ScoreSpec; readonly i: number; readonly plan: Plan },
): ScoreSpec {
  const { name } = score;
  const { scores } = plan.sweep;
  const spec = scores.find((one) => one.name === name);
  if (spec === undefined) {
    const known = scores.length === 0 ? "it has none" : `it has: ${scores.map((one) => one.name).join(", ")}`;
    throw fault(["scores", i, "name"], `the run ${String(score.from)} has no scores called ${name} (${known})`);
  }
  if (isBorrowed(spec))
    throw fault(
      ["scores", i, "from"],
      `the run took ${name} from another run, of the plan ${String(spec.from)}; name that run`,
    );
  if (scoresNeurons(score) && !scoresNeurons(spec))
    throw fault(
      ["scores", i, "from"],
      `the run has no scores ${name} of neurons, which this sweep needs; give its scores \`neurons: true\``,
    );
  return spec;
}

/** Passes where the lender averaged what is ablated to the mean. */
function expectMeans(
  { fault }: SweepSource,
  at: Path,
  { folder, plan }: Pick<Lender, "folder" | "plan">,
  needed: NeededMeans,
): void {
  if (!needed.means) return;
  if (!hasArtifact(folder, MEANS_FILE))
    throw fault(
      at,
      `the run has no ${MEANS_FILE}, and this sweep ablates to the mean; run it with \`means: true\`, or ablate to zero`,
    );
  const task = plan.stages.find(({ id }) => id === "means")?.task;
  const hasNeurons = task !== undefined && "neurons" in task && task.neurons === true;
  if (needed.neurons && !hasNeurons)
    throw fault(
      at,
      `the ${MEANS_FILE} of the run has no neurons, which this sweep ablates to their mean; name a run with \`circuits: { nodes: neurons }\`, or ablate to zero`,
    );
}

async function borrowedFile(
  source: SweepSource,
  at: Path,
  { folder, name }: { readonly folder: string; readonly name: string },
): Promise<BorrowedFile> {
  try {
    const { path, sha256 } = artifactFile(folder, name);
    await checkArtifact(folder, name);
    return { name, path, sha256 };
  } catch (thrown) {
    throw ofLender(source, at, thrown);
  }
}

/** Puts the place in the sweep file in front of what is wrong with the run. */
function located<T>(source: SweepSource, at: Path, read: () => T): T {
  try {
    return read();
  } catch (thrown) {
    throw ofLender(source, at, thrown);
  }
}

function ofLender({ fault }: SweepSource, at: Path, thrown: unknown): unknown {
  const isOurs = thrown instanceof PatchbayError && ["bad_input", "damaged_artifact"].includes(thrown.code);
  return isOurs ? fault(at, thrown.message) : thrown;
}
