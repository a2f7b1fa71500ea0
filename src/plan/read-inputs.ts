/**
 * @file Reads a sweep and all of its inputs in one round, so that one message names the faults of all.
 *
 * 1. The sweep's text and its dataset: each is read even where the other has faults.
 * 2. The checkpoint, without which nothing else can be judged.
 * 3. SAEs, tokenised prompts and the pairs of a fit.
 * What comes from a hub is fetched only for a sweep and a dataset without faults.
 */
import { resolve } from "node:path";
import { FaultList } from "../base/fault-list.js";
import { describePrompts, type PromptText } from "../prompts/prompt-text.js";
import { checkTokenIds, type ReadPrompts, toPrompts } from "../prompts/prompts.js";
import { type DatasetRow, readDataset } from "../prompts/rows.js";
import { openTokenizer, type Tokenizer } from "../prompts/tokenizer.js";
import { datasetPathIn, readSweep, type SweepSource } from "../sweep/read-sweep.js";
import type { SweepPart } from "../sweep/sweep-part.js";
import type { Checkpoint } from "../weights/checkpoint.js";
import { findSaes, type SaeEntry } from "../weights/sae-folder.js";
import { type FitDataset, readFitDataset } from "./fit-dataset.js";
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
): { source: SweepSource; rows: DatasetRow[] | undefined } {
  const source = faults.attempt(() => readSweep(parts, text, file));
  const path = source === undefined ? datasetPathIn(text) : source.sweep.dataset.path;
  const rows = path === undefined ? undefined : faults.attempt(() => readDataset(resolve(baseFolder, path)));
  if (source === undefined) return { source: faults.needed<SweepSource>(source), rows };
  const { model, saes } = source.sweep;
  if ("hub" in model || (saes !== "none" && "hub" in saes)) faults.throwIfAny();
  return { source, rows };
}

/** What the inputs hold. */
export interface ReadInputs extends Omit<ReadPrompts, "rows"> {
  readonly saes: readonly SaeEntry[];
  readonly texts: readonly PromptText[];
  readonly fit: FitDataset | null;
}

/** What is read, and by what it is judged. */
interface InputsToRead {
  readonly source: SweepSource;
  readonly inputs: InputPaths;
  readonly checkpoint: Checkpoint;
  /** Undefined where the dataset has faults. */
  readonly rows: readonly DatasetRow[] | undefined;
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
  const tokenise = (given: readonly DatasetRow[], by: Tokenizer): ReadPrompts => {
    const read = toPrompts(given, by, source.sweep.dataset.limit);
    checkTokenIds(read.prompts, config.vocabSize, inputs.model);
    return read;
  };
  const read = rows === undefined ? undefined : faults.attempt(() => tokenise(rows, tokenizer));
  const fit = await faults.attemptAsync(() => readFitDataset(source, inputs, tokenizer, config));
  const { prompts, dropped, rows: kept } = faults.settled(read);
  const texts = describePrompts(prompts, kept, tokenizer);
  return { saes: faults.settled(saes), prompts, texts, dropped, fit: fit ?? null };
}
