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
import { PatchbayError } from "../base/errors.js";
import { FaultList } from "../base/fault-list.js";
import { asChat } from "../prompts/chat-rows.js";
import { describePrompts, type PromptText } from "../prompts/prompt-text.js";
import { checkTokenIds, type DroppedRow, type ReadPrompts, toPrompts } from "../prompts/prompts.js";
import { positionNames } from "../prompts/row-spans.js";
import { type DatasetRow, readDataset } from "../prompts/rows.js";
import { byTemplate } from "../prompts/template-rows.js";
import { openTokenizer, type Tokenizer } from "../prompts/tokenizer.js";
import { datasetPathsIn, readSweep, type SweepSource } from "../sweep/read-sweep.js";
import { type RowsSpec, rowsOf } from "../sweep/sweep.js";
import type { SweepPart } from "../sweep/sweep-part.js";
import type { SweepText } from "../sweep/sweep-files.js";
import type { Checkpoint } from "../weights/checkpoint.js";
import { findSaes, type SaeEntry } from "../weights/sae-folder.js";
import { type FitDataset, readFitDataset } from "./fit-dataset.js";
import { checkHeldOut } from "./held-out.js";
import type { InputPaths } from "./plan.js";

/**
 * Reads the sweep and its dataset. The rows are undefined where the dataset has faults, which `faults` holds.
 * @throws PatchbayError all faults of both, where the sweep has any, or where something would have to be fetched.
 */
export function readSweepAndDataset(
  parts: readonly SweepPart[],
  { baseFolder, ...sweepText }: SweepText,
  faults: FaultList,
): { source: SweepSource; rows: DatasetRow[][] | undefined } {
  const source = faults.attempt(() => readSweep(parts, sweepText));
  const paths =
    source === undefined ? datasetPathsIn(sweepText.text) : rowsOf(source.sweep).map((spec) => spec?.path ?? "");
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
  /** Names of the spans that are positions, in order; absent where tokens are. */
  readonly spans?: readonly string[];
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
      const asked = asAsked(source, spec, must(given[i], "rows"), tokenizer);
      const read = located(source, spec.field, () => toPrompts(asked, tokenizer, spec.limit));
      checkTokenIds(read.prompts, config.vocabSize, inputs.model);
      return read;
    });
  const read = rows === undefined ? undefined : faults.attempt(() => tokenise(rows));
  const fit = await faults.attemptAsync(() => readFitDataset(source, inputs, tokenizer, config));
  const [evaluate, select] = faults.settled(read);
  const all = joined(must(evaluate, "rows"), select);
  faults.attempt(() => {
    if (select === undefined) return;
    checkSameSpans(source, must(evaluate, "rows"), select);
    checkHeldOut(source, all);
  });
  const texts = describePrompts(all.prompts, all.rows, tokenizer);
  const spans = spansIn(all);
  return {
    saes: faults.settled(saes),
    ...all,
    texts,
    ...(spans === undefined ? {} : { spans }),
    fit: fit ?? null,
  };
}

/** Names of the spans that rows have. */
function spansIn({ rows: [first] }: ReadPrompts): readonly string[] | undefined {
  return first?.kind === "pair" && first.spans !== undefined ? positionNames(first.spans) : undefined;
}

/** Rows that choose have the positions of those that are evaluated. @throws PatchbayError `bad_input`. */
function checkSameSpans({ fault }: SweepSource, evaluate: ReadPrompts, select: ReadPrompts): void {
  const [own, other] = [evaluate, select].map((read) => spansIn(read)?.join(", ") ?? "no spans");
  if (own === other) return;
  throw fault(
    ["dataset", "select"],
    `has other spans than \`evaluate\` (${String(other)} here, ${String(own)} there), so that its positions are others; name the same spans in both`,
  );
}

/** Puts the sweep's field in front of what is wrong. */
function located<T>({ fault }: SweepSource, field: readonly string[], make: () => T): T {
  try {
    return make();
  } catch (thrown) {
    if (thrown instanceof PatchbayError && thrown.code === "bad_input") throw fault(field, thrown.message);
    throw thrown;
  }
}

/** Rows as the sweep says that they become prompts. @throws PatchbayError `bad_input` at the sweep's field. */
function asAsked(
  source: SweepSource,
  { field, chat, template }: RowsSpec,
  rows: readonly DatasetRow[],
  tokenizer: Tokenizer,
): readonly DatasetRow[] {
  const within = <T>(name: string, make: () => T): T => located(source, [...field, name], make);
  const written = template === undefined ? rows : within("template", () => byTemplate(rows, template));
  return chat === true ? within("chat", () => asChat(written, tokenizer)) : written;
}

/** What both datasets hold, that which is evaluated first. */
function joined(evaluate: ReadPrompts, select: ReadPrompts | undefined): ReadPrompts & { readonly evaluated?: number } {
  if (select === undefined) return evaluate;
  return {
    prompts: [...evaluate.prompts, ...select.prompts],
    rows: [...evaluate.rows, ...select.rows],
    dropped: [
      ...evaluate.dropped.map((row): DroppedRow => ({ ...row, use: "evaluate" })),
      ...select.dropped.map((row): DroppedRow => ({ ...row, use: "select" })),
    ],
    evaluated: evaluate.prompts.length,
  };
}
