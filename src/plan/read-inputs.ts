/**
 * @file Reads a sweep and all of its inputs in one round, so that one message names the faults of all.
 *
 * 1. The sweep's text and its dataset: each is read even where the other has faults.
 * 2. The checkpoint, without which nothing else can be judged.
 * 3. SAEs, tokenised prompts and the pairs of a fit.
 * What comes from a hub is fetched only for a sweep and a dataset without faults.
 */
import { resolve } from "node:path";
import { must } from "../base/assert.js";
import { FaultList } from "../base/fault-list.js";
import { describePrompts, type PromptText } from "../prompts/prompt-text.js";
import { checkTokenIds, type ReadPrompts, toPrompts } from "../prompts/prompts.js";
import { type DatasetRow, readDataset } from "../prompts/rows.js";
import { openTokenizer } from "../prompts/tokenizer.js";
import { datasetPathsIn, readSweep, type SweepSource } from "../sweep/read-sweep.js";
import { rowsOf } from "../sweep/sweep.js";
import type { SweepPart } from "../sweep/sweep-part.js";
import type { Checkpoint } from "../weights/checkpoint.js";
import { findSaes, type SaeEntry } from "../weights/sae-folder.js";
import { type FitDataset, readFitDataset } from "./fit-dataset.js";
import { checkHeldOut } from "./held-out.js";
import type { InputPaths } from "./plan.js";

/** A sweep file's text. */
export interface SweepText {
  readonly text: string;
  /** Its name, for errors. */
  readonly file: string;
  /** Relative paths in the sweep start here. */
  readonly baseFolder: string;
}

/**
 * Reads the sweep and its dataset. The rows are undefined where the dataset has faults, which `faults` holds.
 * @throws PatchbayError all faults of both, where the sweep has any, or where something would have to be fetched.
 */
export function readSweepAndDataset(
  parts: readonly SweepPart[],
  { text, file, baseFolder }: SweepText,
  faults: FaultList,
): { source: SweepSource; rows: DatasetRow[][] | undefined } {
  const source = faults.attempt(() => readSweep(parts, text, file));
  const paths = source === undefined ? datasetPathsIn(text) : rowsOf(source.sweep).map((spec) => spec?.path ?? "");
  const read = paths.map((path) => faults.attempt(() => readDataset(resolve(baseFolder, path))));
  const rows = read.every((one) => one !== undefined) ? read : undefined;
  if (source === undefined) return { source: faults.needed<SweepSource>(source), rows };
  const { model, saes } = source.sweep;
  if ("hub" in model || (saes !== "none" && "hub" in saes)) faults.throwIfAny();
  return { source, rows };
}

/** What the inputs hold. */
export interface ReadInputs extends Omit<ReadPrompts, "rows"> {
  /** How many of the prompts are evaluated, where the others choose. */
  readonly evaluated?: number;
  readonly saes: readonly SaeEntry[];
  readonly texts: readonly PromptText[];
  readonly fit: FitDataset | null;
}

/** What is read, and by what it is judged. */
interface InputsToRead {
  readonly source: SweepSource;
  readonly inputs: InputPaths;
  readonly checkpoint: Checkpoint;
  /** Those that are evaluated, then those that choose where they are others; undefined where a dataset has faults. */
  readonly rows: readonly (readonly DatasetRow[])[] | undefined;
}

/** Reads what the checkpoint judges. @throws PatchbayError all faults so far. */
export async function readInputs(
  { source, inputs, checkpoint: { config }, rows }: InputsToRead,
  faults: FaultList,
): Promise<ReadInputs> {
  const { saes: folder, saeOptions } = inputs;
  const saes = await faults.attemptAsync(async () =>
    folder === null ? [] : await findSaes(folder, config, saeOptions),
  );
  const tokenizer = faults.needed(faults.attempt(() => openTokenizer(inputs.model, config.family.bos)));
  const tokenise = (given: readonly (readonly DatasetRow[])[]): ReadPrompts[] =>
    rowsOf(source.sweep).flatMap((spec, i) => {
      if (spec === undefined) return [];
      const read = toPrompts(must(given[i], "rows"), tokenizer, spec.limit);
      checkTokenIds(read.prompts, config.vocabSize, inputs.model);
      return read;
    });
  const read = rows === undefined ? undefined : faults.attempt(() => tokenise(rows));
  const fit = await faults.attemptAsync(() => readFitDataset(source, inputs, tokenizer, config));
  const [evaluate, select] = faults.settled(read);
  const all = joined(must(evaluate, "rows"), select);
  faults.attempt(() => {
    if (select !== undefined) checkHeldOut(source, all);
  });
  const texts = describePrompts(all.prompts, all.rows, tokenizer);
  return { saes: faults.settled(saes), ...all, texts, fit: fit ?? null };
}

/** What both datasets hold, that which is evaluated first. */
function joined(evaluate: ReadPrompts, select: ReadPrompts | undefined): ReadPrompts & { readonly evaluated?: number } {
  if (select === undefined) return evaluate;
  return {
    prompts: [...evaluate.prompts, ...select.prompts],
    rows: [...evaluate.rows, ...select.rows],
    dropped: [...evaluate.dropped, ...select.dropped],
    evaluated: evaluate.prompts.length,
  };
}
