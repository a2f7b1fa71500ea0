/** @file A run as a worker sees it: its plan, its log, and where its inputs lie here. */
import { readFile } from "node:fs/promises";
import { PatchbayError, toPatchbayError } from "../base/errors.js";
import type { Screen } from "../hub/fetch-display.js";
import { type HubInputs, hubInputsSchema } from "../hub/snapshot.js";
import type { InputPaths, Plan } from "../plan/plan.js";
import { openPlan, PLAN_FILE, PLAN_PROMPTS_FILE } from "../plan/stored-plan.js";
import { saeOptionsSchema } from "../run/run-folder.js";
import { openRunLog } from "../runlog/open-run-log.js";
import type { RunLog } from "../runlog/run-log.js";
import {
  environmentFingerprint,
  environmentOn,
  type Environment,
  type WorkerEnvironment,
} from "../base/environment.js";
import type { RunOpened } from "../wire/messages.js";
import type { ArtifactCache } from "./artifact-cache.js";

type PlanFiles = Readonly<Record<"plan" | "prompts", string>>;

/** A run on this worker. Owner of the log: whoever opened the run. */
export interface OpenRun {
  readonly id: string;
  readonly planHash: string;
  /** Local copies of the plan's files. */
  readonly planFiles: PlanFiles;
  readonly plan: Plan;
  readonly inputs: InputPaths;
  readonly environment: Environment;
  /** Fingerprint of the environment, for records. */
  readonly fingerprint: string;
  readonly log: RunLog;
}

/** What a worker's user may say differently from the coordinator. */
export interface LocalChoices {
  readonly environment: WorkerEnvironment;
  /** Folders of the same inputs on this machine; null: the coordinator's paths. */
  readonly model: string | null;
  readonly saes: string | null;
  /** Another address of the same run log; null: the coordinator's. */
  readonly log: string | null;
  /** Shows what is fetched from a hub. */
  readonly screen: Screen;
}

/**
 * Fetches the plan, what this machine lacks of the inputs that come from a hub, and opens the log of a run.
 * @throws PatchbayError `bad_message` for a plan with another hash; `nats_unreachable`; `coordinator_unreachable`;
 *   `hub_unreachable`; `disk_full`;
 *   `bad_input` for what the hub refuses.
 */
export async function openRun(opened: RunOpened, cache: ArtifactCache, choices: LocalChoices): Promise<OpenRun> {
  const planFiles = {
    plan: await cache.file(opened.run, PLAN_FILE),
    prompts: await cache.file(opened.run, PLAN_PROMPTS_FILE),
  };
  const plan = await readPlan(opened, planFiles);
  const decided = { threads: plan.engine.threads, dtype: plan.sweep.dtype };
  const environment = environmentOn(choices.environment, decided);
  return {
    id: opened.run,
    planHash: opened.planHash,
    planFiles,
    plan,
    inputs: await obtainInputs(opened, choices),
    environment,
    fingerprint: environmentFingerprint(environment),
    log: await openRunLog(choices.log ?? opened.log, opened.run),
  };
}

async function readPlan({ run, planHash }: RunOpened, { plan, prompts }: PlanFiles): Promise<Plan> {
  const [text, lists] = await Promise.all([readFile(plan, "utf8"), readFile(prompts, "utf8")]);
  try {
    return openPlan({ plan: text, prompts: () => lists }, planHash, plan);
  } catch (thrown) {
    throw new PatchbayError("bad_message", `run ${run}: ${toPatchbayError(thrown).message}`, { cause: thrown });
  }
}

/** The user's own folders, else what a hub gives, else the coordinator's folders. */
async function obtainInputs(opened: RunOpened, { model, saes, screen }: LocalChoices): Promise<InputPaths> {
  const hub = opened.hub === "" ? NOTHING : hubInputsSchema.parse(JSON.parse(opened.hub));
  const theirs = opened.saes === "" ? null : opened.saes;
  return {
    model: model ?? (await fetchModel(hub, screen)) ?? opened.model,
    saes: theirs === null ? null : (saes ?? (await fetchSaes(hub, screen)) ?? theirs),
    dataset: "",
    saeOptions: saeOptionsSchema.parse(JSON.parse(opened.saeOptions)),
  };
}

const NOTHING: HubInputs = { model: null, saes: null };

// The hub's library is large: it is loaded when it is needed.

async function fetchModel({ model }: HubInputs, screen: Screen): Promise<string | null> {
  if (model === null) return null;
  const { fetchPlannedModel } = await import("../hub/fetch-inputs.js");
  return fetchPlannedModel(model, screen);
}

async function fetchSaes({ saes }: HubInputs, screen: Screen): Promise<string | null> {
  if (saes === null) return null;
  const { fetchPlannedSaes } = await import("../hub/fetch-inputs.js");
  return fetchPlannedSaes(saes, screen);
}
