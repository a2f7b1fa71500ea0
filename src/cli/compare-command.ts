/** @file `patchbay compare`: paired differences between finished runs, or between the scores of one, as tables, JSON and a figure. */
import { existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { badInput } from "../base/errors.js";
import { writeFileAtomically } from "../base/write-file.js";
import { openRun, type ComparedRun } from "../compare/compared-run.js";
import { compareRuns, expectComparison, type Comparison } from "../compare/comparison.js";
import { comparisonSections } from "../compare/comparison-tables.js";
import type { ScorePair } from "../compare/paired-sides.js";
import { parseAllowed } from "../compare/refusals.js";
import { findRunFolder } from "../run/find-run-folder.js";
import { toMarkdown, toValues } from "../tables/table.js";
import { printText } from "./print-text.js";

/** Options of the command as they are written. */
export interface CompareOptions {
  readonly estimators?: string;
  readonly allow?: string;
  readonly figure?: string;
  readonly json: boolean;
}

/**
 * Compares every other run with the first, or the scores of the one run that is given. Nothing is computed where two of them may not be
 * compared.
 * @param given - runs by their folders, by names in `runs`, or by the beginning of these.
 * @throws PatchbayError `bad_input`, `damaged_artifact`.
 */
export async function compareCommand(given: readonly string[], options: CompareOptions): Promise<void> {
  const asked = {
    estimators: options.estimators === undefined ? null : parseEstimators(options.estimators),
    allowed: options.allow === undefined ? new Set<never>() : parseAllowed(options.allow),
  };
  if (options.figure !== undefined) expectFigureFile(options.figure, given.length);
  const runs: ComparedRun[] = [];
  for (const name of given) runs.push(await openRun(findRunFolder(name)));
  const [first, ...others] = runs as [ComparedRun, ...ComparedRun[]];
  const seconds = others.length === 0 ? [first] : others;
  for (const second of seconds) expectComparison(first, second, asked);
  const comparisons: Comparison[] = [];
  for (const second of seconds) comparisons.push(await compareRuns(first, second, asked));
  if (options.figure !== undefined) await writeFigure(options.figure, comparisons);
  printText(
    options.json ? JSON.stringify(comparisons.map(comparisonJson)) : comparisons.map(comparisonText).join("\n\n"),
  );
}

/** @param given - two names, or one for both runs. */
function parseEstimators(given: string): ScorePair {
  const [first = "", second = first, ...more] = given.split(",").map((name) => name.trim());
  if (first === "" || second === "" || more.length > 0)
    throw badInput(`expected two names of scores, a,b, got ${given}`, { field: "--estimators" });
  return [first, second];
}

function expectFigureFile(file: string, runs: number): void {
  if (!file.endsWith(".svg")) throw badInput(`expected a file that ends in .svg, got ${file}`, { field: "--figure" });
  const found = statSync(file, { throwIfNoEntry: false });
  if (!existsSync(dirname(file)) || found?.isDirectory() === true)
    throw badInput(`expected a file in a folder that is there, got ${file}`, { field: "--figure" });
  if (runs > 2) throw badInput(`expected one run or two for a figure, got ${runs}`, { field: "--figure" });
}

/** Plots are loaded only where a figure is asked for. */
async function writeFigure(file: string, comparisons: readonly Comparison[]): Promise<void> {
  const { differenceFigure } = await import("../compare/difference-figure.js");
  const { standaloneSvg } = await import("../report/figure.js");
  for (const comparison of comparisons)
    writeFileAtomically(file, standaloneSvg(differenceFigure(comparison, titleOf(comparison))));
}

/** Runs by the names of their sweeps; those of one name by their folders. */
function titleOf({ a, b }: Comparison): string {
  if (a === b) return `Scores of ${a.file.name}`;
  const [ofA, ofB] = a.file.name === b.file.name ? [a.folder, b.folder] : [a.file.name, b.file.name];
  return `${ofB} − ${ofA}`;
}

function comparisonText(comparison: Comparison): string {
  const { a, b } = comparison;
  const folders = a === b ? a.folder : `A: ${a.folder}, B: ${b.folder}`;
  return `# ${titleOf(comparison)}\n\n${folders}\n\n${toMarkdown(comparisonSections(comparison))}`;
}

function comparisonJson(comparison: Comparison) {
  const { a, b, clusters } = comparison;
  const named = ({ file: { name }, folder }: ComparedRun) => ({ run: name, folder });
  return { a: named(a), b: named(b), clusters, sections: toValues(comparisonSections(comparison)) };
}
