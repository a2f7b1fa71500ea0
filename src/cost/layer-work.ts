/** @file Work of a model's parts, one function for each of src/model's, in the same order of operations. */
import { ATTENTION_MOST_KEYS } from "../model/attention-limit.js";
import type { MlpRule, ModelConfig } from "../families/family.js";
import type { Device, Work } from "./work.js";

/** A norm of `[rows, width]`. */
function normWork(work: Work, rows: number, width: number): void {
  if (work.device.ownKernels) work.move("arithmetic", rows * width, 2, 1);
  else work.move("arithmetic", rows * width, 7, 6);
}

/** Rotary embedding of `rows` of `heads`. */
function ropeWork(work: Work, { headDim: H }: ModelConfig, rows: number, heads: number): void {
  if (work.device.ownKernels) {
    work.move("arithmetic", rows * heads * H, 2, 1);
    return;
  }
  work.product("rope", rows * heads, H, H);
  work.move("arithmetic", rows * heads * H, 7, 7);
}

/** Queries, keys and values of `rows`. */
export function qkvWork(work: Work, config: ModelConfig, rows: number): void {
  const { dModel: D, nHeads: N, nKvHeads: K, headDim: H } = config;
  normWork(work, rows, D);
  for (const heads of [N, K, K]) work.product("layers", rows, D, heads * H);
  for (const heads of [N, K]) {
    if (config.queryKeyNorm) normWork(work, rows * heads, H);
    ropeWork(work, config, rows, heads);
  }
}

/** Whether attention over so many keys is one kernel, whose gradient computes the scores again. */
export function attendsInOneKernel({ ownKernels }: Device, keys: number): boolean {
  return ownKernels && keys <= ATTENTION_MOST_KEYS;
}

/** Attention of `batch` prompts, each with `queries` query rows and `keys` keys. */
export function attentionWork(work: Work, config: ModelConfig, batch: number, queries: number, keys: number): void {
  const { nHeads: N, nKvHeads: K, headDim: H } = config;
  const grouped = (N / K) * queries;
  const scores = batch * N * queries * keys;
  if (attendsInOneKernel(work.device, keys)) {
    work.product("attention", grouped, H, keys, batch * K);
    work.product("attention", grouped, keys, H, batch * K);
    work.move("special", scores, 2, 0);
    return;
  }
  work.move("copy", batch * queries * N * H, 4, 6);
  work.move("copy", batch * keys * K * H, 4, 6);
  work.product("attention", grouped, H, keys, batch * K);
  work.move("arithmetic", scores, config.attnSoftcap === null ? 4 : 8, config.attnSoftcap === null ? 2 : 4);
  work.move("special", scores, config.attnSoftcap === null ? 2 : 4, config.attnSoftcap === null ? 1 : 2);
  work.product("attention", grouped, keys, H, batch * K);
}

/** From `z` to the residual stream between attention and MLP. */
export function attendOutputWork(work: Work, config: ModelConfig, rows: number): void {
  const { dModel: D, nHeads, headDim } = config;
  work.product("layers", rows, nHeads * headDim, D);
  if (config.postNorms) normWork(work, rows, D);
  work.move("arithmetic", rows * D, 3, 1);
}

/** What the MLP adds. */
export function mlpWork(work: Work, config: ModelConfig, rows: number): void {
  neuronsWork(work, config, rows);
  neuronsOutputWork(work, config, rows);
}

/** The MLP's neurons. */
function neuronsWork(work: Work, config: ModelConfig, rows: number): void {
  normWork(work, rows, config.dModel);
  NEURONS_WORK[config.mlp.kind](work, config, rows);
}

/** The MLP's neurons, computed again from the layer's input and its `z`. */
export function neuronsAgainWork(work: Work, config: ModelConfig, rows: number): void {
  attendOutputWork(work, config, rows);
  neuronsWork(work, config, rows);
}

/** What the MLP adds for its neurons. */
export function neuronsOutputWork(work: Work, { dModel: D, dMlp: M, postNorms }: ModelConfig, rows: number): void {
  work.product("layers", rows, M, D);
  if (postNorms) normWork(work, rows, D);
}

const NEURONS_WORK: Readonly<Record<MlpRule["kind"], typeof gatedWork>> = { gated: gatedWork };

function gatedWork(work: Work, { dModel: D, dMlp: M }: ModelConfig, rows: number): void {
  work.product("layers", rows, D, M);
  work.product("layers", rows, D, M);
  if (work.device.ownKernels) work.move("special", rows * M, 3, 1);
  else {
    work.move("arithmetic", rows * M, 15, 6);
    work.move("special", rows * M, 2, 1);
  }
}

/** From `z` to the layer's output. */
export function afterAttentionWork(work: Work, config: ModelConfig, rows: number): void {
  attendOutputWork(work, config, rows);
  mlpWork(work, config, rows);
  work.move("arithmetic", rows * config.dModel, 3, 1);
}

/** One layer of `batch` whole prompts. */
export function layerWork(work: Work, config: ModelConfig, batch: number, positions: number): void {
  const rows = batch * positions;
  qkvWork(work, config, rows);
  attentionWork(work, config, batch, positions, positions);
  afterAttentionWork(work, config, rows);
}

/** Rows that are gathered. */
export function gatherWork(work: Work, width: number, rows: number): void {
  work.move("copy", rows * width, 2, 1);
}

/** The same of prompts whose distinct rows are `rows`. */
export function sharedLayerWork(
  work: Work,
  config: ModelConfig,
  { batch, positions, rows }: { readonly batch: number; readonly positions: number; readonly rows: number },
): void {
  const { nHeads: N, nKvHeads: K, headDim: H } = config;
  qkvWork(work, config, rows);
  for (const heads of [N, K, K]) gatherWork(work, heads * H, batch * positions);
  attentionWork(work, config, batch, positions, positions);
  gatherWork(work, N * H, rows);
  afterAttentionWork(work, config, rows);
}

/** Final norm and the logits of `answers` tokens at one position of `batch` prompts. */
export function unembedWork(work: Work, { dModel: D }: ModelConfig, batch: number, answers: number): void {
  normWork(work, batch, D);
  work.product("unembed", batch, D, answers);
  work.move("special", batch * answers, 2, 6);
}
