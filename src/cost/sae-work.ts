/** @file Work of an SAE's operations, as src/sae and src/attribution/site-scores.ts do them. */
import { rowChunks } from "../attribution/row-chunks.js";
import type { Work } from "./work.js";

/** An SAE's sizes. */
export interface SaeSize {
  readonly dIn: number;
  readonly dSae: number;
}

/** Features of `rows`. */
export function encodeWork(work: Work, { dIn: D, dSae: F }: SaeSize, rows: number): void {
  work.product("encode", rows, D, F);
  work.move("arithmetic", rows * F, 10, 4);
}

/** Features and errors of `rows`, read and summed on the host. */
export function sumWork(work: Work, sae: SaeSize, rows: number): void {
  for (const { count } of rowChunks(rows, sae.dSae)) {
    work.move("copy", count * sae.dIn, 2, 1);
    encodeWork(work, sae, count);
    work.product("decode", count, sae.dSae, sae.dIn);
    work.move("arithmetic", count * sae.dIn, 5, 2);
    work.move("host", count * (sae.dSae + sae.dIn), 1, 0);
  }
}

/**
 * Changes of an SAE's nodes from one run to another, listed on the host.
 * @param donors - 1: both runs are encoded; 0: zero ablation.
 * @param scored - the changes are multiplied by gradients.
 */
export function changeWork(work: Work, sae: SaeSize, rows: number, donors: 0 | 1, scored: boolean): void {
  const { dIn: D, dSae: F } = sae;
  const chunks = rowChunks(rows, F);
  if (scored) work.move("copy", F * D, 2, 1);
  for (const { count } of chunks) {
    const slices = (donors + 1 + (scored ? 1 : 0)) * (chunks.length > 1 ? 1 : 0);
    work.move("copy", count * D, 2 * slices, slices);
    for (let run = 0; run <= donors; run++) encodeWork(work, sae, count);
    work.move("arithmetic", count * F, donors === 1 ? 3 : 2, 1);
    work.product("decode", count, F, D);
    work.move("arithmetic", count * D, 6, 2);
    if (scored) {
      work.product("decode", count, D, F);
      work.move("arithmetic", count * F, 3, 1);
    }
    work.move("host", count * F, 1, 0);
  }
  work.move("copy", rows * D, 2, 1);
}
