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

/** Where a value is not finite. */
export interface NonFiniteValue {
  /** The subject: "activation", "score", "metric". */
  readonly quantity: string;
  /** Null where the value is of no site. */
  readonly at: SiteAt | null;
  /** Null where it is of no one run. */
  readonly side: Side | null;
  readonly prompt: Prompt;
  readonly value: number;
}

/** The error for a value that is not finite. */
export function nonFinite({ quantity, at, side, prompt, value }: NonFiniteValue): PatchbayError {
  const place = at === null ? "" : ` at ${siteHook(at)} (layer ${String(at.layer)}, site ${at.site})`;
  const run = side === null ? "" : ` of the ${side} run`;
  const text =
    `${quantity}${place}${run}: expected a finite number, got ${String(value)} for the prompt of line ${String(prompt.line)}. ` +
    "Check the checkpoint and the SAEs for damaged values";
  const field = at === null ? {} : { field: siteHook(at) };
  return new PatchbayError("non_finite", text, { detail: { line: prompt.line, ...field } });
}

/** Checks a run's metrics. @throws PatchbayError `non_finite` where one is not finite. */
export function checkMetrics(metric: Float64Array, prompts: readonly Prompt[], side: Side): void {
  const bad = firstNonFinite(metric);
  if (bad < 0) return;
  const [prompt, value] = [must(prompts[bad], "prompt"), must(metric[bad], "metric")];
  throw nonFinite({ quantity: "metric", at: null, side, prompt, value });
}

/**
 * Looks through all activations of a run, in forward order.
 * @throws PatchbayError `non_finite` naming the first site that has one that is not finite.
 */
export async function locateInRun(run: Run, nLayers: number, prompts: readonly Prompt[]): Promise<void> {
  for (const at of saeSites(nLayers)) {
    const values = await read(run.site(at));
    const bad = firstNonFinite(values);
    if (bad < 0) continue;
    const prompt = must(prompts[Math.floor((bad * prompts.length) / values.length)], "prompt");
    throw nonFinite({ quantity: "activation", at, side: run.side, prompt, value: must(values[bad], "value") });
  }
}

/**
 * Checks a run's metrics.
 * @throws PatchbayError `non_finite` where one is not finite, naming the activation where that began.
 */
export async function checkRun(run: Run, nLayers: number, prompts: readonly Prompt[]): Promise<void> {
  if (firstNonFinite(run.metric) < 0) return;
  await locateInRun(run, nLayers, prompts);
  checkMetrics(run.metric, prompts, run.side);
}
