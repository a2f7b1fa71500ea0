/** @file Work of an SAE's operations, as src/sae and src/passes/site-scores.ts do them. */
import { rowChunks } from "../passes/row-chunks.js";
import type { Work } from "./work.js";

/** An SAE's sizes. */
export interface SaeSize {
  readonly dIn: number;
  readonly dSae: number;
}

/** Features of `rows`. */
function encodeWork(work: Work, { dIn: D, dSae: F }: SaeSize, rows: number): void {
  work.product("encode", rows, D, F);
  work.move("arithmetic", rows * F, 10, 4);
}

/** Share of the features that fire in a row. */
const FIRING = 0.025;

/** Features of `rows` as lists, on a backend that makes them: the product, then one look at each pre-activation. */
function listWork(work: Work, { dIn: D, dSae: F }: SaeSize, rows: number): void {
  if (work.device.ownKernels) {
    work.product("encode", rows, D, F);
    work.move("arithmetic", rows * F, 2, 0);
    return;
  }
  encodeWork(work, { dIn: D, dSae: F }, rows);
  work.move("host", rows * F, 1, 0);
}

/** What lists of features add up to: their decoder rows, or a product with all. */
function decodeWork(work: Work, { dIn: D, dSae: F }: SaeSize, rows: number): void {
  if (work.device.ownKernels) {
    work.move("arithmetic", rows * F * FIRING * D, 1, 4);
    return;
  }
  work.move("copy", rows * F, 1, 0);
  work.product("decode", rows, F, D);
}

/** What the features of `rows` that count add up to, on a backend that lists them; the host looks at each entry. */
export function listedSumWork(work: Work, sae: SaeSize, rows: number): void {
  listWork(work, sae, rows);
  work.move("host", rows * sae.dSae * FIRING, 1, 0);
  decodeWork(work, sae, rows);
}

/** Features and errors of `rows`, read and summed on the host. */
export function sumWork(work: Work, sae: SaeSize, rows: number): void {
  for (const { count } of rowChunks(rows, sae.dSae)) {
    work.move("copy", count * sae.dIn, 2, 1);
    listWork(work, sae, count);
    decodeWork(work, sae, count);
    work.move("arithmetic", count * sae.dIn, 5, 2);
    work.move("host", count * sae.dIn, 1, 0);
  }
}

/** What is made of an SAE's changes. */
export interface ChangeOptions {
  /** 1: both runs are encoded; 0: zero ablation. */
  readonly donors: 0 | 1;
  /** The changes are multiplied by gradients. */
  readonly scored: boolean;
}

/** Changes of an SAE's nodes from one run to another, listed on the host. */
export function changeWork(work: Work, sae: SaeSize, rows: number, { donors, scored }: ChangeOptions): void {
  const { dIn: D, dSae: F } = sae;
  const chunks = rowChunks(rows, F);
  for (const { count } of chunks) {
    const slices = (donors + 1 + (scored ? 1 : 0)) * (chunks.length > 1 ? 1 : 0);
    work.move("copy", count * D, 2 * slices, slices);
    if (work.device.ownKernels) listWork(work, sae, (donors + 1) * count);
    else for (let run = 0; run <= donors; run++) listWork(work, sae, count);
    if (scored && !work.device.ownKernels) {
      work.move("copy", F * D, 2, 1);
      work.product("decode", count, D, F);
      work.move("host", count * F, 1, 0);
    }
    decodeWork(work, sae, count);
    work.move("arithmetic", count * D, 6, 2);
  }
  work.move("copy", rows * D, 2, 1);
}
