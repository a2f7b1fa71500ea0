/** @file Finds where a NaN or infinity came from, and says so. */
import { must } from "../base/assert.js";
import { PatchbayError } from "../base/errors.js";
import type { Prompt, Side } from "../nodes/prompt.js";
import { saeSites, siteHook, type SiteAt } from "../nodes/site.js";
import { read } from "../model/read-tensor.js";
import type { Run } from "./capture.js";

/** Index of the first value that is NaN or infinite, or -1. */
export function firstNonFinite(values: ArrayLike<number>): number {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return i;
  return -1;
}

/** The error for a value that is not finite; `quantity` is the subject ("activation", "AtP score", "metric"). */
export function nonFinite(
  quantity: string,
  at: SiteAt | null,
  side: Side | null,
  prompt: Prompt,
  value: number,
): PatchbayError {
  const place = at === null ? "" : ` at ${siteHook(at)} (layer ${String(at.layer)}, site ${at.site})`;
  const run = side === null ? "" : ` of the ${side} run`;
  const text =
    `${quantity}${place}${run}: expected a finite number, got ${String(value)} for the prompt of line ${String(prompt.line)}. ` +
    "Check the checkpoint and the SAEs for damaged values";
  const field = at === null ? {} : { field: siteHook(at) };
  return new PatchbayError("non_finite", text, { detail: { line: prompt.line, ...field } });
}

/** @throws PatchbayError `non_finite` where a metric is not finite. */
export function checkMetrics(metric: Float64Array, prompts: readonly Prompt[], side: Side): void {
  const bad = firstNonFinite(metric);
  if (bad >= 0) throw nonFinite("metric", null, side, must(prompts[bad], "prompt"), must(metric[bad], "metric"));
}

/** @throws PatchbayError `non_finite` naming the first site, in forward order, whose activation is not finite. */
export async function locateInRun(run: Run, nLayers: number, prompts: readonly Prompt[]): Promise<void> {
  for (const at of saeSites(nLayers)) {
    const values = await read(run.site(at));
    const bad = firstNonFinite(values);
    if (bad < 0) continue;
    const prompt = must(prompts[Math.floor((bad * prompts.length) / values.length)], "prompt");
    throw nonFinite("activation", at, run.side, prompt, must(values[bad], "value"));
  }
}

/** @throws PatchbayError `non_finite` where the run's metric is not finite, naming the activation where it began. */
export async function checkRun(run: Run, nLayers: number, prompts: readonly Prompt[]): Promise<void> {
  if (firstNonFinite(run.metric) < 0) return;
  await locateInRun(run, nLayers, prompts);
  checkMetrics(run.metric, prompts, run.side);
}
