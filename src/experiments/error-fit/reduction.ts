/** @file `error-fit-<site hook>.safetensors`, the fit of each site, and `error-fit.parquet`, how far each goes. Source: REFERENCE 3. */
import { must } from "../../base/assert.js";
import { PatchbayError } from "../../base/errors.js";
import { siteHook } from "../../nodes/site.js";
import { fitOf } from "../../plan/fit-spec.js";
import type { Plan } from "../../plan/plan.js";
import { artifactMetadata } from "../../artifacts/artifact-metadata.js";
import { ERROR_FITS_FILE, errorFitFile, FIT_STAGE } from "../../artifacts/error-fit-file.js";
import { encodeParquet, type Metadata } from "../../artifacts/parquet.js";
import type { ReductionInputs } from "../../artifacts/reduction.js";
import { forEachRecord } from "../../artifacts/stage-records.js";
import { encodeSafetensors } from "../../weights/safetensors.js";
import { decodeErrorFit } from "./payload.js";
import type { FitTask } from "./task.js";

/** Writes each site's fit as it was computed, and the table of all. */
export async function reduce(
  { sites }: FitTask,
  { source, provenance, artifacts }: ReductionInputs,
): Promise<readonly string[]> {
  const metadata = artifactMetadata(provenance, "none", factsOf(source.plan));
  const rows: { hook: string; n: number; explained: number }[] = [];
  await forEachRecord(source, FIT_STAGE, (shard, payload) => {
    const at = must(sites[must(shard.slots, "slots")[0]], "site");
    const hook = siteHook(at);
    const { A, b, rows: n, explained } = decodeErrorFit(payload);
    const D = b.length;
    const arrays = new Map([
      [`${hook}.A`, { shape: [D, D], values: A }],
      [`${hook}.b`, { shape: [D], values: b }],
    ]);
    artifacts.write(errorFitFile(at), encodeSafetensors(arrays, metadata));
    rows.push({ hook, n, explained });
  });
  if (rows.length < sites.length) throw givenUp(sites.length - rows.length);
  const table = encodeParquet(
    [
      [
        { name: "hook", type: "STRING", values: rows.map(({ hook }) => hook) },
        { name: "n", type: "INT32", values: Int32Array.from(rows, ({ n }) => n) },
        { name: "explained", type: "DOUBLE", values: Float64Array.from(rows, ({ explained }) => explained) },
      ],
    ],
    metadata,
  );
  artifacts.write(ERROR_FITS_FILE, table);
  return [];
}

/** What these artifacts say otherwise than those of the evaluated dataset. */
function factsOf(plan: Plan): Metadata {
  return {
    sign: "none: the fit of an SAE's error e on its site's activation x, e_lin = A x + b",
    direction: "none: unablated runs, clean and corrupted, every position after BOS",
    n: String(plan.fitPrompts?.length ?? 0),
    ridge: String(fitOf(plan.sweep)?.ridge),
  };
}

/** Without its fit a site's error has no parts: what comes after cannot go on in part. */
function givenUp(count: number): PatchbayError {
  const sites = count === 1 ? "one site was" : `${String(count)} sites were`;
  return new PatchbayError(
    "application",
    `the fit of ${sites} given up; run the same command again, which tries again`,
  );
}
