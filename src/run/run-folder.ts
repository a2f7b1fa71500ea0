/** @file A run's folder: its paths, and the schema of run.json. Volatile facts (times, paths, hosts) live in run.json only. */
import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { type Environment, recordedEnvironmentSchema } from "../base/environment.js";
import { badInput } from "../base/errors.js";
import { readJsonFile, readTextFile } from "../base/read-file.js";
import { writeFileAtomically } from "../base/write-file.js";
import { SAE_SITES } from "../nodes/site.js";
import { hubInputsSchema } from "../hub/snapshot.js";
import type { Plan } from "../plan/plan.js";
import { openPlan, PLAN_FILE, PLAN_PROMPTS_FILE, planTexts } from "../plan/stored-plan.js";

/** Most run folders that a message names. */
const MAX_NAMED = 5;

/** Paths inside a run folder. */
export const runPaths = (folder: string) => ({
  run: join(folder, "run.json"),
  plan: join(folder, PLAN_FILE),
  planPrompts: join(folder, PLAN_PROMPTS_FILE),
  log: join(folder, "log"),
  artifacts: join(folder, "artifacts"),
  artifact: (name: string) => join(folder, "artifacts", name),
  sums: join(folder, "SHA256SUMS"),
  scratch: join(folder, "scratch"),
  processes: join(folder, "processes.json"),
  report: join(folder, "report.html"),
  figures: join(folder, "report"),
});

/** What a run is called where nobody says otherwise: its sweep's name, and the first 8 digits of the plan hash. */
export function runName(sweepName: string, planHash: string): string {
  return `${sweepName}-${planHash.slice(0, 8)}`;
}

/** How a run stands or ended, as run.json says it; the coordinator knows more states (`RunState` of the wire). */
const RUN_STATUSES = ["running", "complete", "partial", "failed", "cancelled"] as const;
/** The status of a run, as run.json says it. */
export type RecordedStatus = (typeof RUN_STATUSES)[number];

const rate = z.object({ seconds: z.number(), units: z.number(), unit: z.string(), per_second: z.number() });

const oneValue = z.union([z.number(), z.string()]);
const bySite = z.union([oneValue, z.record(z.string(), oneValue)]);

/** How SAEs are chosen, as run.json keeps it and workers are told. */
export const saeOptionsSchema = z.object({
  width: bySite.exactOptional(),
  l0: bySite.exactOptional(),
  sites: z.array(z.enum(SAE_SITES)).readonly().exactOptional(),
  layers: z.array(z.number()).readonly().exactOptional(),
});

const stagePrediction = z.object({
  shards: z.int(),
  /** In the unit of the stage's timing. */
  units: z.number(),
  /** Engine seconds, added up over the engines. */
  seconds: z.number(),
  /** Seconds on the clock. */
  elapsed_seconds: z.number(),
  seconds_by_part: z.object({ products: z.number(), traffic: z.number(), calls: z.number() }),
  /** Floating point operations in matrix products, by what they are part of. */
  flops: z.object({
    layers: z.number(),
    attention: z.number(),
    encode: z.number(),
    decode: z.number(),
    unembed: z.number(),
  }),
  /** Bytes read and written outside products. */
  bytes: z.number(),
  kernel_calls: z.number(),
  /** Resident memory of an engine. */
  peak_mib: z.number(),
});

const prediction = z.object({
  workers: z.int(),
  threads: z.int(),
  weights_mib: z.number(),
  peak_mib: z.number(),
  /** Rate at which all products together are expected to run. */
  gemm_gflops: z.number(),
  /** By stage id. */
  stages: z.record(z.string(), stagePrediction),
});

const reusedShards = z.object({
  stage: z.string(),
  /** How many of the stage's shards came from there, */
  shards: z.int(),
  /** of how many that it has. */
  of: z.int(),
  /** The earlier run's folder, from the one that holds this run's. */
  from: z.string(),
  /** The earlier run's plan. */
  plan_hash: z.string(),
});

const reusedArtifacts = z.object({
  stage: z.string(),
  /** Their hashes as they were taken over, by their names; none where that was not recorded. */
  sums: z.record(z.string(), z.string()).default({}),
  from: z.string(),
  plan_hash: z.string(),
  /** What the stage's reduction said there. */
  warnings: z.array(z.string()),
});

/** Artifacts of one stage that were not made again, because an earlier run had them. */
export type ReusedArtifacts = z.infer<typeof reusedArtifacts>;

/** Shards of one stage that were not computed again, because an earlier run had them. */
export type ReusedShards = z.infer<typeof reusedShards>;

/** What a run was expected to take, before it started. */
export type Prediction = z.infer<typeof prediction>;

/** The schema of run.json. */
const runFileSchema = z.object({
  version: z.literal(1),
  name: z.string(),
  status: z.enum(RUN_STATUSES),
  /** Why the run stands as it does, in words. */
  reason: z.string(),
  plan_hash: z.string(),
  /** The resolved sweep; its paths are under `inputs`. */
  sweep: z.record(z.string(), z.unknown()),
  inputs: z.object({
    model: z.string(),
    saes: z.string().nullable(),
    dataset: z.string(),
    select: z.string().exactOptional(),
    fit: z.string().exactOptional(),
    /** The run that scores and means are taken from. */
    from: z.object({ path: z.string(), plan_hash: z.string(), shared_prompts: z.int() }).exactOptional(),
    saeOptions: saeOptionsSchema,
    hub: hubInputsSchema.exactOptional(),
  }),
  fingerprints: recordedEnvironmentSchema.extend({
    model: z.string(),
    saes: z.string().nullable(),
    dataset: z.string(),
    select: z.string().exactOptional(),
    fit: z.string().exactOptional(),
  }),
  /** What a dataset's rows were filtered by: a run, and how many rows it evaluated and the filter kept. */
  filtered: z
    .array(
      z.object({
        dataset: z.string(),
        from: z.string(),
        plan_hash: z.string(),
        rows: z.int(),
        measured: z.int(),
        kept: z.int(),
      }),
    )
    .exactOptional(),
  /** Versions of Node that workers and coordinator ran on, over all starts of the run. They decide no bits. */
  node: z.array(z.string()).exactOptional(),
  /** Why the backend was taken, in words. */
  backend_reason: z.string().exactOptional(),
  counts: z.object({
    prompts: z.int(),
    /** Prompts that choose nodes and means, where they are others. */
    select: z.int().exactOptional(),
    dropped: z.int(),
    /** Prompts with the tokens and answers of an earlier one. */
    repeated: z.int().exactOptional(),
    /** Clusters that the prompts name. */
    clusters: z.int().exactOptional(),
    shards: z.int(),
    done: z.int(),
    quarantined: z.int(),
    retries: z.int(),
    workers: z.int(),
  }),
  /** Shards that were given up, with the reason of each. */
  quarantined: z.array(
    z.object({ shard: z.string(), code: z.string(), message: z.string(), prompts: z.array(z.int()) }),
  ),
  timings: z.record(z.string(), rate.extend({ by_kind: z.record(z.string(), rate).optional() })),
  /** What `timings` were expected to be; absent where nothing was measured before the run. */
  prediction: prediction.exactOptional(),
  /** What came from earlier runs; absent where nothing did. */
  reused: z.array(reusedShards).exactOptional(),
  reused_artifacts: z.array(reusedArtifacts).exactOptional(),
  /** Warnings of reductions, by stage: those that have any. */
  stage_warnings: z.record(z.string(), z.array(z.string())).exactOptional(),
  /** Engine seconds spent on loading weights, over all engines. */
  weight_loading_seconds: z.number(),
  warnings: z.array(z.string()),
  allow_partial: z.boolean(),
  /** When a coordinator that takes submissions got the sweep; absent where `patchbay run` serves the folder. */
  submitted: z.string().exactOptional(),
  started: z.string(),
  ended: z.string().nullable(),
});

/** The contents of run.json. */
export type RunFile = z.infer<typeof runFileSchema>;

/** The environment of a run: its fingerprints, less those of its inputs. */
export function environmentOfRun({ fingerprints }: RunFile): Environment {
  const { model, saes, dataset, select, fit, ...environment } = fingerprints;
  return environment;
}

/** Reads run.json. @throws PatchbayError `bad_input` when it is missing, broken or of another version. */
export function readRunFile(folder: string): RunFile {
  const file = runPaths(folder).run;
  const parsed = runFileSchema.safeParse(readJsonFile(file, z.unknown()));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw badInput(`not a run file of this version: ${issue?.message ?? ""}`, {
    file,
    field: issue?.path.join(".") ?? "",
  });
}

/** Reads run.json of a run that came to its end. @throws what `fault` makes of another status; `bad_input` as {@link readRunFile}. */
export function completeRun(folder: string, fault: (status: RecordedStatus) => Error): RunFile {
  const run = readRunFile(folder);
  if (run.status !== "complete") throw fault(run.status);
  return run;
}

/** Writes run.json in one step: readers see the old file or the new one. */
export function writeRunFile(folder: string, run: RunFile): void {
  writeFileAtomically(runPaths(folder).run, `${JSON.stringify(run, null, 2)}\n`);
}

/** Reads the plan and checks its two files against the hash that run.json names. @throws PatchbayError `bad_input`. */
export function readPlan(folder: string, planHash: string): Plan {
  const paths = runPaths(folder);
  const texts = { plan: readTextFile(paths.plan), prompts: () => readTextFile(paths.planPrompts) };
  return openPlan(texts, planHash, paths.plan);
}

/** Whether the folder holds a run already. */
export function holdsRun(folder: string): boolean {
  return existsSync(runPaths(folder).run);
}

/**
 * Passes where a command that reads a finished run was given its folder.
 * @throws PatchbayError `bad_input` saying what a run folder is, and which folder nearby is one.
 */
export function expectRunFolder(folder: string): void {
  if (holdsRun(folder)) return;
  const near = [dirname(resolve(folder)), ...foldersIn(folder), ...foldersIn(join(folder, "runs"))].filter(holdsRun);
  const hint =
    near.length === 0 ? "" : `; ${near.slice(0, MAX_NAMED).join(", ")} ${near.length === 1 ? "is one" : "are"}`;
  throw badInput(
    `expected the folder of a run, which holds run.json: name the folder that \`patchbay run\` wrote to${hint}`,
    { file: folder },
  );
}

/** What lies in a folder, as paths; nothing where there is no folder. */
export function foldersIn(folder: string): string[] {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) return [];
  return readdirSync(folder).map((name) => join(folder, name));
}

/** Creates the folders of a run and writes the plan. */
export function createRunFolder(folder: string, plan: Plan): void {
  const paths = runPaths(folder);
  for (const path of [folder, paths.log, paths.artifacts]) mkdirSync(path, { recursive: true });
  const texts = planTexts(plan);
  writeFileAtomically(paths.planPrompts, texts.prompts);
  writeFileAtomically(paths.plan, texts.plan);
}
