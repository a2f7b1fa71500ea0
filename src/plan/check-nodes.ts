/** @file Checks of positions, hooks and features that a sweep names, beside the model, SAEs and prompts. */
import { isSaeKind } from "../nodes/kinds.js";
import { parseNodeHook } from "../nodes/node.js";
import type { SaeSite } from "./plan.js";
import type { PlanContext } from "./plan-part.js";
import type { SweepSource } from "../sweep/read-sweep.js";

/** What is wrong with a dataset for what needs corrupted prompts. */
export const NO_PAIRS = "a plain dataset (prompt, true_answer, false_answer) has no corrupted prompts";

/** What is wrong with a sweep without SAEs for what needs them. */
export const NO_SAES = "needs SAEs, and the sweep has none; set `saes: { path: ... }`";

/** Whether the sweep has SAEs to patch nodes of. */
export function hasSaes({ sweep }: SweepSource, context: PlanContext): boolean {
  return sweep.saes !== "none" && context.saes.length > 0;
}

/** What is said of scores that a field names and that are not there. */
export function unknownScores({ sweep }: SweepSource, name: string): string | undefined {
  const names = sweep.scores.map((score) => score.name);
  if (names.includes(name)) return undefined;
  const known = names.length === 0 ? "there are none" : `there are: ${names.join(", ")}`;
  return `no scores are called ${name} (${known}); add them under \`scores\``;
}

/**
 * Checks that a prompt has the position.
 * @throws what `fault` makes of one that no prompt has.
 */
export function checkPosition(
  position: number,
  { lengths, prompts }: PlanContext,
  fault: (message: string) => Error,
): void {
  const { longest } = lengths;
  const unit = prompts[0]?.spans === undefined ? "tokens" : "spans";
  if (position >= longest || position < -longest) {
    throw fault(
      `the kept prompts have at most ${String(longest)} ${unit}: positions ${String(-longest)} to ${String(longest - 1)}, got ${String(position)}`,
    );
  }
}

/** The SAE whose node a hook names. @throws what `fault` makes of a hook that names none. */
export function checkNodeHook(hook: string, context: PlanContext, fault: (message: string) => Error): SaeSite {
  const parsed = parseNodeHook(hook);
  if (parsed === undefined || !isSaeKind(parsed.kind)) {
    throw fault(`${hook} is not a node hook; expected e.g. blocks.0.hook_resid_post.hook_sae_error`);
  }
  const sae = context.saes.find(({ site, layer }) => site === parsed.site && layer === parsed.layer);
  if (sae === undefined) throw fault(`no SAE is loaded at ${hook}; the sweep has ${String(context.saes.length)} SAEs`);
  return sae;
}

/**
 * Checks features that a sweep lists.
 * @throws what `fault` makes of a hook that names no features, or of a feature that its SAE lacks.
 */
export function checkFeature(
  hook: string,
  list: readonly number[],
  context: PlanContext,
  fault: (field: string[], message: string) => Error,
): void {
  const sae = checkNodeHook(hook, context, (message) => fault(["hook"], message));
  if (parseNodeHook(hook)?.kind !== "feature")
    throw fault(["hook"], `${hook} names no features; expected a hook that ends in .hook_sae_acts_post`);
  const beyond = list.find((feature) => feature >= sae.dSae);
  if (beyond !== undefined)
    throw fault(["feature"], `the SAE at ${hook} has features 0 to ${String(sae.dSae - 1)}, got ${String(beyond)}`);
}
