/** @file Reads the dataset that a sweep's `fit` names, when the plan is made. */
import { PatchbayError } from "../base/errors.js";
import type { ModelConfig } from "../families/family.js";
import { isPaired, type Prompt, withoutCluster } from "../nodes/prompt.js";
import { asChat } from "../prompts/chat-rows.js";
import { checkTokenIds, toPrompts } from "../prompts/prompts.js";
import { fingerprintDataset, readDataset } from "../prompts/rows.js";
import type { Tokenizer } from "../prompts/tokenizer.js";
import type { SweepSource } from "../sweep/read-sweep.js";
import { NO_PAIRS } from "./check-nodes.js";
import { fitOf } from "./fit-spec.js";
import type { InputPaths } from "./plan.js";

/** What was read for a fit. */
export interface FitDataset {
  readonly prompts: readonly Prompt[];
  readonly fingerprint: string;
}

/**
 * Reads and tokenises the fit's pairs by the rules of every dataset. Null where the sweep has no fit.
 * @throws PatchbayError `bad_input` naming the sweep's field, and in the message the file and line of the fault.
 */
export async function readFitDataset(
  { sweep, fault }: SweepSource,
  { fit: path, model }: InputPaths,
  tokenizer: Tokenizer,
  config: ModelConfig,
): Promise<FitDataset | null> {
  const spec = fitOf(sweep);
  if (spec === undefined || path === undefined) return null;
  try {
    const rows = readDataset(path);
    const { prompts } = toPrompts(spec.chat === true ? asChat(rows, tokenizer) : rows, tokenizer, spec.limit);
    checkTokenIds(prompts, config.vocabSize, model);
    const wrong = unfit(prompts, config);
    if (wrong !== undefined) throw fault(["fit", "path"], wrong);
    return { prompts: prompts.map(withoutCluster), fingerprint: await fingerprintDataset(path) };
  } catch (thrown) {
    const isOurs = thrown instanceof PatchbayError && thrown.code === "bad_input";
    if (!isOurs || thrown.detail.field === "fit.path") throw thrown;
    throw fault(["fit", "path"], thrown.message);
  }
}

/** Why prompts cannot be fitted on, in words. */
function unfit(prompts: readonly Prompt[], { maxPositions }: ModelConfig): string | undefined {
  if (prompts.some(({ spans }) => spans !== undefined))
    return "a fit on rows with spans is not built; name rows without them, whose prompts have as many tokens as each other";
  if (!isPaired(prompts)) return `${NO_PAIRS}, which a fit needs; name a dataset of pairs`;
  const longest = Math.max(...prompts.map(({ clean }) => clean.length));
  if (longest > maxPositions)
    return `a prompt has ${String(longest)} tokens, the model has ${String(maxPositions)} positions`;
  return longest > 1 ? undefined : "no prompt has a token after BOS, so there is nothing to fit on";
}
