/** @file From a sweep file to a plan: reads every input once, refuses what cannot run, fixes everything else. */
import { resolve } from "node:path";
import { canonicalJson, sha256 } from "../base/hash.js";
import { readTextFile } from "../base/read-file.js";
import { isPaired, type Prompt } from "../nodes/prompt.js";
import type { Screen } from "../hub/fetch-display.js";
import { fingerprintDataset, readDataset } from "../prompts/rows.js";
import { describePrompts, type PromptText } from "../prompts/prompt-text.js";
import { checkTokenIds, type DroppedRow, toPrompts } from "../prompts/prompts.js";
import { openTokenizer } from "../prompts/tokenizer.js";
import { type Checkpoint, openCheckpoint } from "../weights/checkpoint.js";
import type { ModelConfig } from "../families/family.js";
import { findSaes, fingerprintSaes, type SaeEntry } from "../weights/sae-folder.js";
import { blocksFor, DEFAULT_BLOCK_MIB } from "./blocks.js";
import { type FitDataset, readFitDataset } from "./fit-dataset.js";
import { fitOf, type FitSpec } from "./fit-spec.js";
import { obtainInputs, saeOptionsOf } from "./obtain-inputs.js";
import type { InputPaths, ModelShape, Plan, SaeSite, Stage } from "./plan.js";
import { lengthsOf } from "./prompt-lengths.js";
import { readSweep, type SweepSource } from "../sweep/read-sweep.js";
import type { PlanContext, PlanPart } from "./plan-part.js";
import { promptBlocks } from "./stages.js";
import { type HasTasks, taskKind } from "./task-kinds.js";
import type { SweepPart } from "../sweep/sweep-part.js";
import { type ResolvedSweep, scoresNeurons, type Sweep } from "../sweep/sweep.js";

/** Facts about where the run happens that the plan records. */
export interface PlanOptions {
  /** Backend that engines will use. */
  readonly backend: string;
  /** What `engine.threads: auto` becomes. */
  readonly autoThreads: number;
}

/** Facts that may depend on the model. */
export type PlanOptionsFor = PlanOptions | ((model: ModelConfig) => PlanOptions);

/** For whoever does not want to see what is fetched. */
const NO_SCREEN: Screen = { write: () => undefined };

/** A plan with what is kept beside it. */
export interface PlannedRun {
  readonly plan: Plan;
  /** SHA-256 of the plan's canonical JSON. */
  readonly planHash: string;
  readonly inputs: InputPaths;
  /** What the file says of each of the plan's prompts. */
  readonly texts: readonly PromptText[];
  readonly dropped: readonly DroppedRow[];
}

/** Reads and plans the sweep file at `path`. @throws PatchbayError `bad_input`, `not_built`. */
export async function planSweepFile(
  experiments: readonly PlannedExperiment[],
  path: string,
  options: PlanOptionsFor,
  screen: Screen,
): Promise<PlannedRun> {
  const source = { text: readTextFile(path), file: path, baseFolder: resolve(path, "..") };
  return planSweep(experiments, source, options, screen);
}

/** A sweep file's text. */
export interface SweepText {
  readonly text: string;
  /** Its name, for errors. */
  readonly file: string;
  /** Relative paths in the sweep start here. */
  readonly baseFolder: string;
}

/** What planning needs of an experiment. */
export type PlannedExperiment = SweepPart & PlanPart & HasTasks<unknown>;

/**
 * Plans a sweep.
 * @param experiments - what a sweep may ask for.
 * @param screen - shows what is fetched from a hub.
 * @throws PatchbayError `bad_input` for every fault of the sweep and its inputs; `not_built` for an option this version lacks.
 */
export async function planSweep(
  experiments: readonly PlannedExperiment[],
  { text, file, baseFolder }: SweepText,
  options: PlanOptionsFor,
  screen: Screen = NO_SCREEN,
): Promise<PlannedRun> {
  const source = readSweep(experiments, text, file);
  const { sweep } = source;
  const inputs = await obtainInputs(source, baseFolder, screen);
  const checkpoint = await openCheckpoint(inputs.model);
  try {
    const chosen = typeof options === "function" ? options(checkpoint.config) : options;
    const saes = inputs.saes === null ? [] : await findSaes(inputs.saes, checkpoint.config, inputs.saeOptions);
    const tokenizer = openTokenizer(inputs.model, checkpoint.config.family.bos);
    const { prompts, rows, dropped } = toPrompts(readDataset(inputs.dataset), tokenizer, sweep.dataset.limit);
    checkTokenIds(prompts, checkpoint.config.vocabSize, inputs.model);
    const fit = await readFitDataset(source, inputs, tokenizer, checkpoint.config);
    const fingerprints = {
      model: await checkpoint.fingerprint(),
      saes: saes.length === 0 ? null : await fingerprintSaes(saes),
      dataset: await fingerprintDataset(inputs.dataset),
      ...(fit === null ? {} : { fit: fit.fingerprint }),
    };
    const plan = assemble(experiments, source, { checkpoint, saes, prompts, fit, fingerprints }, chosen);
    const texts = describePrompts(prompts, rows, tokenizer);
    return { plan, planHash: sha256(canonicalJson(plan)), inputs, texts, dropped };
  } finally {
    await checkpoint.close();
  }
}

/** Everything that was read. */
interface ReadInputs {
  readonly checkpoint: Checkpoint;
  readonly saes: readonly SaeEntry[];
  readonly prompts: readonly Prompt[];
  readonly fit: FitDataset | null;
  readonly fingerprints: Plan["fingerprints"];
}

function assemble(
  experiments: readonly PlannedExperiment[],
  source: SweepSource,
  { checkpoint, saes: saeEntries, prompts, fit, fingerprints }: ReadInputs,
  { backend, autoThreads }: PlanOptions,
): Plan {
  const { sweep, fault } = source;
  const { config } = checkpoint;
  const shape: ModelShape = {
    nLayers: config.nLayers,
    dModel: config.dModel,
    nHeads: config.nHeads,
    headDim: config.headDim,
    dMlp: config.dMlp,
  };
  const saes: SaeSite[] = saeEntries.map(({ site, layer, dIn, dSae }) => ({ site, layer, dIn, dSae }));
  const lengths = lengthsOf(prompts);
  const longest = Math.max(...lengths);
  if (longest > config.maxPositions) {
    throw fault(
      ["dataset"],
      `a prompt has ${String(longest)} tokens, the model has ${String(config.maxPositions)} positions`,
    );
  }
  if (sweep.dtype === "bfloat16" && backend !== "torch")
    throw fault(["dtype"], `bfloat16 is not built yet on the ${backend} backend; use --backend torch, or float32`);
  const context: PlanContext = { shape, saes, prompts, paired: isPaired(prompts), lengths };
  for (const experiment of experiments) experiment.check?.(source, context);
  const { threads, block_mib: blockMib } = sweep.engine;
  const engine = {
    backend,
    threads: threads === "auto" ? autoThreads : threads,
    blockMib: blockMib === "auto" ? DEFAULT_BLOCK_MIB : blockMib,
  };
  const dSae = Math.max(0, ...saes.map((sae) => sae.dSae));
  const positions = Math.max(longest, ...(fit?.prompts ?? []).map(({ clean }) => clean.length));
  const blocks = blocksFor({ config, dSae, positions, neurons: sweep.scores.some(scoresNeurons) }, engine.blockMib);
  const stages = stagesOf(experiments, sweep, blocks, context);
  for (const { task } of stages) taskKind(experiments, task);
  const facts = experiments.map((experiment) => experiment.facts?.(source, context) ?? {});
  return {
    version: 1,
    sweep: resolvedSweep(sweep),
    fingerprints,
    shape,
    saes,
    prompts,
    ...(fit === null ? {} : { fitPrompts: fit.prompts }),
    donors: null,
    engine,
    blocks,
    nodeSlots: 0,
    ...(Object.assign({}, ...facts) as Partial<Plan>),
    stages,
  };
}

/** All stages of a sweep, those of an experiment together. */
export function stagesOf(
  experiments: readonly PlanPart[],
  sweep: Sweep,
  blocks: Plan["blocks"],
  context: PlanContext,
): Stage[] {
  const stageContext = {
    ...context,
    sweep,
    blocks,
    promptBlocks: promptBlocks(context.prompts, blocks.prompts),
    needsMeans: experiments.some((experiment) => experiment.needsMeans?.(sweep) === true),
    needsNeuronMeans: experiments.some((experiment) => experiment.needsNeuronMeans?.(sweep) === true),
  };
  return experiments.flatMap((experiment) => experiment.stages(stageContext));
}

function withoutPath({ limit, ridge }: FitSpec): FitSpec {
  return limit === undefined ? { ridge } : { limit, ridge };
}

function resolvedSweep(sweep: Sweep): ResolvedSweep {
  const { model, engine, saes, dataset, ...rest } = sweep;
  const fit = fitOf(sweep);
  return {
    ...rest,
    ...(fit === undefined ? {} : { fit: withoutPath(fit) }),
    saes: saes === "none" ? "none" : saeOptionsOf(saes),
    dataset: dataset.limit === undefined ? {} : { limit: dataset.limit },
  };
}
