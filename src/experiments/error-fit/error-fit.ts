/**
 * @file The fit of one site: its error as a linear function of its activation, over a dataset of pairs.
 *
 * 1. Run every pair clean and corrupted up to the site's layer; encode the site's activation.
 * 2. One row, of equal weight, for each pair, side and position after BOS: the activation x and the error e, summed in float64.
 * 3. Ridge regression of e on x.
 *
 * Source: REFERENCE 3; Engels et al., arXiv 2410.14670.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../../base/assert.js";
import { PatchbayError } from "../../base/errors.js";
import type { ModelConfig } from "../../families/family.js";
import { SIDES, type Prompt, type Side } from "../../nodes/prompt.js";
import { siteHook, type SaeSiteAt } from "../../nodes/site.js";
import { read, readAndDispose } from "../../model/read-tensor.js";
import { withScope } from "../../model/tensor-scope.js";
import { shapeOf } from "../../model/tensor-shape.js";
import { breathe, type OnProgress } from "../../passes/breathe.js";
import { laterRows } from "../../passes/later-positions.js";
import { firstNonFinite, nonFinite } from "../../passes/non-finite.js";
import { rowChunks } from "../../passes/row-chunks.js";
import type { SplicedModel } from "../../passes/spliced-model.js";
import { encodeActive, errorOfActive } from "../../sae/active-features.js";
import type { Sae } from "../../sae/sae.js";
import { CenteredSums, fitRidge, type RidgeFit } from "../../stats/ridge.js";
import type { FitWalk } from "./fit-walk.js";
import type { ErrorFitResult } from "./payload.js";

/** Where and how to fit. */
export interface FitOptions {
  readonly at: SaeSiteAt;
  readonly ridge: number;
}

/**
 * Fits one site.
 * @param walk over the dataset's blocks.
 * @throws PatchbayError `non_finite` naming layer, site and prompt line.
 */
export async function computeErrorFit(
  spliced: SplicedModel,
  walk: FitWalk,
  { at, ridge }: FitOptions,
  onProgress?: OnProgress,
): Promise<ErrorFitResult> {
  const placed = must(
    spliced.saes.find(({ site, layer }) => site === at.site && layer === at.layer),
    `the SAE of ${siteHook(at)}`,
  );
  let sums: CenteredSums | null = null;
  let done = 0;
  const pause = async (): Promise<void> => {
    onProgress?.(done, walk.blocks);
    await breathe();
  };
  await walk.visitLayer(at.layer, [placed.sae], async (block, sides) => {
    const sae = placed.sae.now();
    sums ??= new CenteredSums(sae.dIn);
    for (const [i, { [at.site]: x_RD }] of sides.entries()) {
      const first = tokensBefore(spliced.model.config);
      await addRows(sums, sae, x_RD, { at, side: must(SIDES[i], "side"), block, first, pause });
    }
    done += 1;
  });
  const rows = must(sums as CenteredSums | null, "rows");
  const { A, b, explained } = await solved(rows, { at, ridge }, pause);
  return { A: Float32Array.from(A), b: Float32Array.from(b), rows: rows.count, explained };
}

/** Tokens that every prompt begins with, and that are not fitted on: BOS, in families that have one. */
export function tokensBefore({ family }: ModelConfig): number {
  return family.bos.kind === "none" ? 0 : 1;
}

async function solved(rows: CenteredSums, { at, ridge }: FitOptions, pause: () => Promise<void>): Promise<RidgeFit> {
  try {
    return await fitRidge(rows, ridge, pause);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const text = `the fit of the errors at ${siteHook(at)}: ${why}. Raise \`fit.ridge\` (${String(ridge)})`;
    throw new PatchbayError("application", text, { cause, detail: { field: "fit.ridge" } });
  }
}

/** Rows that are added to the sums between two pauses, in which the engine shows that it is alive. */
const ROWS_AT_ONCE = 256;

/** What the rows of a block's side are. */
interface RowPlace {
  readonly at: SaeSiteAt;
  readonly side: Side;
  readonly block: readonly Prompt[];
  /** First position that is fitted on. */
  readonly first: number;
  readonly pause: () => Promise<void>;
}

async function addRows(
  sums: CenteredSums,
  sae: Sae,
  x_RD: Tensor,
  { at, side, block, first, pause }: RowPlace,
): Promise<void> {
  const positions = must(block[0], "prompt").clean.length - first;
  if (positions === 0) return;
  await withScope(async (own) => {
    const later_RD = own(laterRows(x_RD, block.length, first));
    const [x, e] = [await read(later_RD), await errorsOf(sae, later_RD)];
    for (const values of [x, e]) {
      const bad = firstNonFinite(values);
      if (bad < 0) continue;
      const prompt = must(block[Math.floor(bad / (positions * sae.dIn))], "prompt");
      throw nonFinite({ quantity: "activation", at, side, prompt, value: must(values[bad], "value") });
    }
    for (let row = 0; row < x.length; row += ROWS_AT_ONCE * sae.dIn) {
      const end = row + ROWS_AT_ONCE * sae.dIn;
      sums.add(x.subarray(row, end), e.subarray(row, end));
      await pause();
    }
  });
}

/** Errors of rows, flat. */
async function errorsOf(sae: Sae, x_RD: Tensor): Promise<Float32Array> {
  const [R, D] = shapeOf(x_RD, "RD");
  const errors = new Float32Array(R * D);
  for (const { start, count } of rowChunks(R, sae.dSae)) {
    const e_RD = tf.tidy(() => {
      const rows_RD = tf.slice(x_RD, [start, 0], [count, D]);
      return errorOfActive(sae, rows_RD, encodeActive(sae, rows_RD));
    });
    errors.set(await readAndDispose(e_RD), start * D);
  }
  return errors;
}
