/** @file From a sweep file to a plan: reads every input once, refuses what cannot run, fixes everything else. */
import { FaultList } from "../base/fault-list.js";
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
import { blocksByUse, tokenCounts } from "./held-out.js";
import { type BorrowedFile, checkLender, type Lender, lenderPlace, type NeededMeans } from "./lender.js";
import type { FitDataset } from "./fit-dataset.js";
import { filterDatasets, type FilteredBy } from "./filter-rows.js";
import { fitOf, type FitSpec } from "./fit-spec.js";
import { obtainInputs, saeOptionsOf } from "./obtain-inputs.js";
import { type InputPaths, type Plan, PLAN_VERSION, type SaeSite, type Stage } from "./plan.js";
import { mostTokens } from "./prompt-lengths.js";
import type { PlanContext, PlanPart } from "./plan-part.js";
import { withSpans } from "./span-positions.js";
import { readInputs, type ReadInputs, readSweepAndDataset } from "./read-inputs.js";
import type { SweepSource } from "../sweep/read-sweep.js";
import { hashOfPlan } from "./stored-plan.js";
import { type HasTasks, taskKind } from "./task-kinds.js";
import type { SweepText } from "../sweep/sweep-files.js";
import type { SweepPart } from "../sweep/sweep-part.js";
import {
  type ResolvedSweep,
  type RowChoice,
  rowsOf,
  type RowsSpec,
  scoresNeurons,
  type Sweep,
} from "../sweep/sweep.js";

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
  /** As {@link hashOfPlan} says. */
  readonly planHash: string;
  readonly inputs: InputPaths;
  /** What the file says of each of the plan's prompts. */
  readonly texts: readonly PromptText[];
  readonly dropped: readonly DroppedRow[];
  /** The runs that rows were filtered by. */
  readonly filteredBy: readonly FilteredBy[];
  /** What is taken from another run. */
  readonly borrowed: readonly BorrowedFile[];
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
  const { source: written, rows } = readSweepAndDataset(experiments, text, faults);
  const filtered =
    rows === undefined
      ? undefined
      : await faults.attemptAsync(() => filterDatasets(experiments, written, rows, text.baseFolder));
  const { filteredBy = [] } = filtered ?? {};
  const lender = faults.attempt(() =>
    experiments.map((experiment) => experiment.openLender?.(written, text.baseFolder)).find((one) => one !== undefined),
  );
  const inputs = await obtainInputs(written, text.baseFolder, screen);
  const checkpoint = faults.needed(await faults.attemptAsync(() => openCheckpoint(inputs.model)));
  try {
    const { config } = checkpoint;
    const chosen = typeof options === "function" ? options(config) : options;
    const read = await readInputs({ source: written, inputs, checkpoint, rows: filtered?.rows }, faults);
    const named = faults.needed(faults.attempt(() => withSpans(written, read.spans)));
    const source = lender === undefined ? named : lent(named, lender);
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
    if (lender !== undefined) checkLender(source, lender, { prompts: read.prompts, fit, fingerprints }, faults);
    const borrowed = await faults.attemptAsync(async () => lender?.files(neededMeans(experiments, source.sweep)));
    faults.throwIfAny();
    const plan = {
      ...assemble(experiments, source, { config, context, fit, fingerprints, filteredBy }, chosen),
      ...(lender === undefined ? {} : { borrowed: borrowedBy(lender, borrowed ?? []) }),
    };
    return {
      plan,
      planHash: hashOfPlan(plan),
      inputs: lender === undefined ? inputs : { ...inputs, from: lenderPlace(lender, read.prompts) },
      texts,
      dropped,
      filteredBy,
      borrowed: borrowed ?? [],
    };
  } finally {
    await checkpoint.close();
  }
}

/** The sweep with what the lender says of the scores that are taken from it. */
function lent(source: SweepSource, { scores }: Lender): SweepSource {
  return { ...source, sweep: { ...source.sweep, scores } };
}

function borrowedBy({ planHash }: Lender, files: readonly BorrowedFile[]): NonNullable<Plan["borrowed"]> {
  return { plan: planHash, artifacts: Object.fromEntries(files.map(({ name, sha256 }) => [name, sha256])) };
}

/** Which means the experiments of a sweep read. */
function neededMeans(experiments: readonly PlanPart[], sweep: Sweep): NeededMeans {
  return {
    means: experiments.some((experiment) => experiment.needsMeans?.(sweep) === true),
    neurons: experiments.some((experiment) => experiment.needsNeuronMeans?.(sweep) === true),
  };
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
    lengths: tokenCounts(rows),
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
  const longest = mostTokens(context.prompts);
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
  readonly filteredBy: readonly FilteredBy[];
}

function assemble(
  experiments: readonly PlannedExperiment[],
  source: SweepSource,
  { config, context, fit, fingerprints, filteredBy }: PlanParts,
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
  const positions = mostTokens([...prompts, ...(fit?.prompts ?? [])]);
  const blocks = blocksFor({ config, dSae, positions, neurons: sweep.scores.some(scoresNeurons) }, engine.blockMib);
  const { promptBlocks, stages } = stagesOf(experiments, sweep, blocks, context);
  for (const { task } of stages) taskKind(experiments, task);
  expectEvaluation(source, stages, evaluated);
  const facts = experiments.map((experiment) => experiment.facts?.(source, context) ?? {});
  return {
    version: PLAN_VERSION,
    sweep: resolvedSweep(sweep, filteredBy),
    fingerprints,
    shape,
    saes,
    prompts,
    promptBlocks,
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

/** All stages of a sweep, those of an experiment together, and the blocks of prompts that they take. */
export function stagesOf(
  experiments: readonly PlanPart[],
  sweep: Sweep,
  blocks: Plan["blocks"],
  context: PlanContext,
): Pick<Plan, "promptBlocks" | "stages"> {
  const { means, neurons } = neededMeans(experiments, sweep);
  const promptBlocks = blocksByUse(context, blocks.prompts);
  const stageContext = {
    ...context,
    sweep,
    blocks,
    promptBlocks,
    needsMeans: means,
    needsNeuronMeans: neurons,
    needsSiteMeans: experiments.some((experiment) => experiment.needsSiteMeans?.(sweep) === true),
  };
  const stages = inOrder(experiments.flatMap((experiment) => experiment.stages(stageContext)));
  return { promptBlocks: promptBlocks.list, stages };
}

/** Each stage after those it depends on, and else as they are. */
function inOrder(stages: readonly Stage[]): Stage[] {
  const ordered: Stage[] = [];
  const placed = new Set<string>();
  const left = [...stages];
  while (left.length > 0) {
    const next = left.findIndex(({ dependsOn }) => dependsOn.every((id) => placed.has(id)));
    const [stage] = left.splice(next, next < 0 ? 0 : 1);
    if (stage === undefined) throw new Error(`bug: stages wait for each other: ${left.map(({ id }) => id).join(", ")}`);
    placed.add(stage.id);
    ordered.push(stage);
  }
  return ordered;
}

/** Rows that a sweep names to be evaluated are never ignored. @throws PatchbayError `bad_input`. */
function expectEvaluation({ fault }: SweepSource, stages: readonly Stage[], evaluated = 0): void {
  const isEvaluated = ({ shards }: Stage): boolean =>
    [...shards.byBlock()].some(({ prompts }) => prompts.some((p) => p < evaluated));
  if (evaluated === 0 || stages.some(isEvaluated)) return;
  throw fault(
    ["dataset", "evaluate"],
    "nothing is measured on these rows: scores and means are of the rows of `select`; ask for truth, circuits or experiments, or name one dataset by its `path`",
  );
}

function withoutPath({ ridge, ...choice }: FitSpec): FitSpec {
  return { ...choiceOf(choice), ridge };
}

function choiceOf({ limit, chat, template }: RowChoice): RowChoice {
  return {
    ...(limit === undefined ? {} : { limit }),
    ...(chat === true ? { chat } : {}),
    ...(template === undefined ? {} : { template }),
  };
}

/** Which rows are kept, the run that a filter goes by named by its plan. */
function rowsIn({ field, where, ...choice }: RowsSpec, filteredBy: readonly FilteredBy[]): RowChoice {
  const by = filteredBy.find((one) => one.field.join() === field.join());
  return {
    ...choiceOf(choice),
    ...(where === undefined || by === undefined ? {} : { where: Object.assign({}, where, { from: by.planHash }) }),
  };
}

function resolvedSweep(sweep: Sweep, filteredBy: readonly FilteredBy[]): ResolvedSweep {
  const { model, engine, saes, dataset: _dataset, ...rest } = sweep;
  const fit = fitOf(sweep);
  const [evaluate, select] = rowsOf(sweep);
  return {
    ...rest,
    ...(fit === undefined ? {} : { fit: withoutPath(fit) }),
    saes: saes === "none" ? "none" : saeOptionsOf(saes),
    dataset:
      select === undefined
        ? rowsIn(evaluate, filteredBy)
        : { select: rowsIn(select, filteredBy), evaluate: rowsIn(evaluate, filteredBy) },
  };
}
