/** @file From a sweep file to a plan: reads every input once, refuses what cannot run, fixes everything else. */
import { resolve } from "node:path";
import { canonicalJson, sha256 } from "../base/hash.js";
import { readTextFile } from "../base/read-file.js";
import { type Ablation, ABLATION_SOURCES } from "../nodes/intervention.js";
import { isPaired, type Prompt } from "../nodes/prompt.js";
import type { Screen } from "../hub/fetch-display.js";
import { fingerprintDataset, readDataset } from "../prompts/rows.js";
import { checkTokenIds, type DroppedRow, toPrompts } from "../prompts/prompts.js";
import { openTokenizer } from "../prompts/tokenizer.js";
import { type Checkpoint, openCheckpoint } from "../weights/checkpoint.js";
import type { ModelConfig } from "../families/family.js";
import { findSaes, fingerprintSaes, type SaeEntry } from "../weights/sae-folder.js";
import { blocksFor, DEFAULT_BLOCK_MIB } from "./blocks.js";
import { checkSweep } from "./check-sweep.js";
import { type Donors, DRAWS, resampleDonors } from "./donors.js";
import { slotCount, slotGroups } from "./node-slots.js";
import { obtainInputs, saeOptionsOf } from "./obtain-inputs.js";
import type { InputPaths, ModelShape, Plan, SaeSite } from "./plan.js";
import { lengthsOf } from "./prompt-lengths.js";
import { readSweep, type SweepSource } from "./read-sweep.js";
import { stagesOf } from "./stages.js";
import type { ResolvedSweep, Sweep } from "./sweep.js";

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
  readonly dropped: readonly DroppedRow[];
}

/** Reads and plans the sweep file at `path`. @throws PatchbayError `bad_input`, `not_built`. */
export async function planSweepFile(path: string, options: PlanOptionsFor, screen: Screen): Promise<PlannedRun> {
  return planSweep(readTextFile(path), path, resolve(path, ".."), options, screen);
}

/**
 * Plans a sweep.
 * @param text - the sweep file's text.
 * @param file - its name, for errors.
 * @param baseFolder - relative paths in the sweep start here.
 * @param screen - shows what is fetched from a hub.
 * @throws PatchbayError `bad_input` for every fault of the sweep and its inputs; `not_built` for an option this version lacks.
 */
export async function planSweep(
  text: string,
  file: string,
  baseFolder: string,
  options: PlanOptionsFor,
  screen: Screen = NO_SCREEN,
): Promise<PlannedRun> {
  const source = readSweep(text, file);
  const { sweep } = source;
  const inputs = await obtainInputs(source, baseFolder, screen);
  const checkpoint = await openCheckpoint(inputs.model);
  try {
    const chosen = typeof options === "function" ? options(checkpoint.config) : options;
    const saes = inputs.saes === null ? [] : await findSaes(inputs.saes, checkpoint.config, inputs.saeOptions);
    const { prompts, dropped } = toPrompts(
      readDataset(inputs.dataset),
      openTokenizer(inputs.model, checkpoint.config.family.bos),
      sweep.dataset.limit,
    );
    checkTokenIds(prompts, checkpoint.config.vocabSize, inputs.model);
    const fingerprints = {
      model: await checkpoint.fingerprint(),
      saes: saes.length === 0 ? null : await fingerprintSaes(saes),
      dataset: await fingerprintDataset(inputs.dataset),
    };
    const plan = assemble(source, checkpoint, saes, prompts, fingerprints, chosen);
    return { plan, planHash: sha256(canonicalJson(plan)), inputs, dropped };
  } finally {
    await checkpoint.close();
  }
}

function assemble(
  source: SweepSource,
  { config }: Checkpoint,
  saeEntries: readonly SaeEntry[],
  prompts: readonly Prompt[],
  fingerprints: Plan["fingerprints"],
  { backend, autoThreads }: PlanOptions,
): Plan {
  const { sweep, fault } = source;
  const shape: ModelShape = {
    nLayers: config.nLayers,
    dModel: config.dModel,
    nHeads: config.nHeads,
    headDim: config.headDim,
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
  checkSweep(source, { shape, saes, paired: isPaired(prompts), lengths });
  const { threads, block_mib: blockMib } = sweep.engine;
  const engine = {
    backend,
    threads: threads === "auto" ? autoThreads : threads,
    blockMib: blockMib === "auto" ? DEFAULT_BLOCK_MIB : blockMib,
  };
  const dSae = Math.max(0, ...saes.map((sae) => sae.dSae));
  const blocks = blocksFor({ config, dSae, positions: longest }, engine.blockMib);
  const slots = sweep.truth === undefined ? [] : slotGroups({ truth: sweep.truth, shape, saes, lengths });
  const stages = stagesOf({ sweep, prompts, blocks, slots });
  const nodeSlots = slots.reduce((sum, group) => sum + slotCount(group), 0);
  const donors = donorsOf(source, prompts);
  return {
    version: 1,
    sweep: resolvedSweep(sweep),
    fingerprints,
    shape,
    saes,
    prompts,
    donors,
    engine,
    blocks,
    nodeSlots,
    stages,
  };
}

function donorsOf({ sweep, fault }: SweepSource, prompts: readonly Prompt[]): Donors[] | null {
  const resamples = (ablation: Ablation): boolean => ABLATION_SOURCES[ablation] === "donors";
  const inCircuits = sweep.circuits !== undefined && resamples(sweep.circuits.ablation);
  if (!inCircuits && !sweep.experiments.some(({ ablation }) => resamples(ablation))) return null;
  return Array.from({ length: DRAWS }, (_, draw) => {
    const result = resampleDonors(prompts, sweep.seed, draw);
    if ("donors" in result) return result;
    throw fault(
      inCircuits ? ["circuits", "ablation"] : ["experiments"],
      `resample needs another prompt of the same length, and only one kept prompt has ${String(result.loneLength)} tokens; use mean or zero, or add prompts`,
    );
  });
}

function resolvedSweep(sweep: Sweep): ResolvedSweep {
  const { model, engine, saes, dataset, ...rest } = sweep;
  return {
    ...rest,
    saes: saes === "none" ? "none" : saeOptionsOf(saes),
    dataset: dataset.limit === undefined ? {} : { limit: dataset.limit },
  };
}
