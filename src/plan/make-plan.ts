/** @file From a sweep file to a plan: reads every input once, refuses what cannot run, fixes everything else. */
import { resolve } from "node:path";
import { FaultList } from "../base/fault-list.js";
import { canonicalJson, sha256 } from "../base/hash.js";
import { readTextFile } from "../base/read-file.js";
import { isPaired } from "../nodes/prompt.js";
import type { Screen } from "../hub/fetch-display.js";
import { publishedSaes } from "../hub/published-saes.js";
import { fingerprintDataset } from "../prompts/rows.js";
import type { PromptText } from "../prompts/prompt-text.js";
import type { DroppedRow } from "../prompts/prompts.js";
import { openCheckpoint } from "../weights/checkpoint.js";
import type { ModelConfig } from "../families/family.js";
import { fingerprintSaes } from "../weights/sae-folder.js";
import { blocksFor, DEFAULT_BLOCK_MIB } from "./blocks.js";
import { blocksByUse, evaluatedPrompts } from "./held-out.js";
import type { FitDataset } from "./fit-dataset.js";
import { fitOf, type FitSpec } from "./fit-spec.js";
import { obtainInputs, saeOptionsOf } from "./obtain-inputs.js";
import type { InputPaths, Plan, SaeSite, Stage } from "./plan.js";
import { lengthsOf } from "./prompt-lengths.js";
import type { PlanContext, PlanPart } from "./plan-part.js";
import { readInputs, type ReadInputs, readSweepAndDataset, type SweepText } from "./read-inputs.js";
import type { SweepSource } from "../sweep/read-sweep.js";
import { type HasTasks, taskKind } from "./task-kinds.js";
import type { SweepPart } from "../sweep/sweep-part.js";
import { type ResolvedSweep, type RowLimits, rowsOf, scoresNeurons, type Sweep } from "../sweep/sweep.js";

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

/** What planning needs of an experiment. */
export type PlannedExperiment = SweepPart & PlanPart & HasTasks<unknown>;

/**
 * Plans a sweep.
 * @param experiments - what a sweep may ask for.
 * @param screen - shows what is fetched from a hub.
 * @throws PatchbayError `bad_input` for every fault of the sweep and its inputs, as many as one round finds; `not_built` for an
 *   option this version lacks.
 */
export async function planSweep(
  experiments: readonly PlannedExperiment[],
  text: SweepText,
  options: PlanOptionsFor,
  screen: Screen = NO_SCREEN,
): Promise<PlannedRun> {
  const faults = new FaultList();
  const { source, rows } = readSweepAndDataset(experiments, text, faults);
  const inputs = await obtainInputs(source, text.baseFolder, screen);
  const checkpoint = faults.needed(await faults.attemptAsync(() => openCheckpoint(inputs.model)));
  try {
    const { config } = checkpoint;
    const chosen = typeof options === "function" ? options(config) : options;
    const read = await readInputs({ source, inputs, checkpoint, rows }, faults);
    const context = contextOf(config, read, inputs);
    checkContext(experiments, source, { context, config, backend: chosen.backend }, faults);
    const { saes, fit, texts, dropped } = read;
    const fingerprints = {
      model: await checkpoint.fingerprint(),
      saes: saes.length === 0 ? null : await fingerprintSaes(saes),
      dataset: await fingerprintDataset(inputs.dataset),
      ...(inputs.select === undefined ? {} : { select: await fingerprintDataset(inputs.select) }),
      ...(fit === null ? {} : { fit: fit.fingerprint }),
    };
    const plan = assemble(experiments, source, { config, context, fit, fingerprints }, chosen);
    return { plan, planHash: sha256(canonicalJson(plan)), inputs, texts, dropped };
  } finally {
    await checkpoint.close();
  }
}

function contextOf(config: ModelConfig, { saes, prompts, evaluated }: ReadInputs, { hub }: InputPaths): PlanContext {
  const { nLayers, dModel, nHeads, headDim, dMlp } = config;
  const nameOf = publishedSaes(hub?.saes ?? []);
  const rows = { prompts, ...(evaluated === undefined ? {} : { evaluated }) };
  return {
    shape: { nLayers, dModel, nHeads, headDim, dMlp },
    saes: saes.map((sae): SaeSite => {
      const { site, layer, dIn, dSae } = sae;
      const published = nameOf(sae);
      return { site, layer, dIn, dSae, ...(published === undefined ? {} : { published }) };
    }),
    ...rows,
    paired: isPaired(prompts),
    lengths: lengthsOf(evaluatedPrompts(rows)),
  };
}

/** What the sweep is checked against. */
interface Checked {
  readonly context: PlanContext;
  readonly config: ModelConfig;
  readonly backend: string;
}

/** Checks the sweep beside its inputs. @throws PatchbayError the first fault of each experiment, and those of the sweep. */
function checkContext(
  experiments: readonly PlannedExperiment[],
  source: SweepSource,
  { context, config: { maxPositions }, backend }: Checked,
  faults: FaultList,
): void {
  const { sweep, fault } = source;
  const longest = Math.max(...lengthsOf(context.prompts));
  faults.attempt(() => {
    if (longest <= maxPositions) return;
    throw fault(["dataset"], `a prompt has ${String(longest)} tokens, the model has ${String(maxPositions)} positions`);
  });
  faults.attempt(() => {
    if (sweep.dtype === "bfloat16" && backend !== "torch")
      throw fault(["dtype"], `bfloat16 is not built yet on the ${backend} backend; use --backend torch, or float32`);
  });
  for (const experiment of experiments) faults.attempt(() => experiment.check?.(source, context));
  faults.throwIfAny();
}

/** What a plan is made of. */
interface PlanParts {
  readonly config: ModelConfig;
  readonly context: PlanContext;
  readonly fit: FitDataset | null;
  readonly fingerprints: Plan["fingerprints"];
}

function assemble(
  experiments: readonly PlannedExperiment[],
  source: SweepSource,
  { config, context, fit, fingerprints }: PlanParts,
  { backend, autoThreads }: PlanOptions,
): Plan {
  const { sweep } = source;
  const { shape, saes, prompts, evaluated } = context;
  const { threads, block_mib: blockMib } = sweep.engine;
  const engine = {
    backend,
    threads: threads === "auto" ? autoThreads : threads,
    blockMib: blockMib === "auto" ? DEFAULT_BLOCK_MIB : blockMib,
  };
  const dSae = Math.max(0, ...saes.map((sae) => sae.dSae));
  const positions = Math.max(...lengthsOf(prompts), ...(fit?.prompts ?? []).map(({ clean }) => clean.length));
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
    ...(evaluated === undefined ? {} : { evaluated }),
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
    promptBlocks: blocksByUse(context, blocks.prompts),
    needsMeans: experiments.some((experiment) => experiment.needsMeans?.(sweep) === true),
    needsNeuronMeans: experiments.some((experiment) => experiment.needsNeuronMeans?.(sweep) === true),
  };
  return experiments.flatMap((experiment) => experiment.stages(stageContext));
}

function withoutPath({ limit, ridge }: FitSpec): FitSpec {
  return limit === undefined ? { ridge } : { limit, ridge };
}

function limitOf({ limit }: RowLimits): RowLimits {
  return limit === undefined ? {} : { limit };
}

function resolvedSweep(sweep: Sweep): ResolvedSweep {
  const { model, engine, saes, dataset: _dataset, ...rest } = sweep;
  const fit = fitOf(sweep);
  const [evaluate, select] = rowsOf(sweep);
  return {
    ...rest,
    ...(fit === undefined ? {} : { fit: withoutPath(fit) }),
    saes: saes === "none" ? "none" : saeOptionsOf(saes),
    dataset: select === undefined ? limitOf(evaluate) : { select: limitOf(select), evaluate: limitOf(evaluate) },
  };
}
