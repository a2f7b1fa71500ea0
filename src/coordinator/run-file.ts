/** @file Keeps run.json up to date: the volatile facts of a run. Written whole, at most once a second while the run goes on. */
import { placeOf, type ShardPlace } from "../plan/stage-shards.js";
import { must } from "../base/assert.js";
import { NODE_VERSION } from "../base/environment.js";
import type { Plan, Stage } from "../plan/plan.js";
import { writeRunFile, type RunFile } from "../run/run-folder.js";
import { quarantinedShards } from "./explain.js";
import type { CoordinatorState, RunProgress, StageProgress } from "./state.js";
import type { ServedRun } from "./served-run.js";

const INTERVAL_MS = 1000;

type Rate = RunFile["timings"][string];

/** Keeps one run's run.json. */
export interface RunFileKeeper {
  /** Notes that the state has changed; the file follows within a second. */
  touch(): void;
  /** A worker process says how long it has spent on loading weights so far. */
  noteLoading(instance: string, seconds: number): void;
  /** Keeps what a stage's reduction says. */
  noteWarnings(stage: string, warnings: readonly string[]): void;
  /** Writes now. */
  write(): void;
  /** Writes for the last time. A problem makes the run a failed one. */
  end(problem: string | null): void;
}

/** Starts to keep the file of a run that is in the state. */
export function keepRunFile(run: ServedRun, state: () => CoordinatorState): RunFileKeeper {
  const loading = new Map<string, number>();
  const workers = new Set<string>();
  const warnings = new Map(Object.entries(run.file.stage_warnings ?? {}));
  const nodes = new Set([...(run.file.node ?? []), NODE_VERSION]);
  let timer: NodeJS.Timeout | null = null;
  const compose = (): RunFile => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    const loadSeconds = [...loading.values()].reduce((sum, seconds) => sum + seconds, 0);
    const described = describeRun(run, must(state().runs.get(run.id), run.id), workers.size, loadSeconds);
    return {
      ...described,
      node: [...nodes].sort(),
      ...(warnings.size === 0 ? {} : { stage_warnings: Object.fromEntries(warnings) }),
    };
  };
  const write = (): void => {
    writeRunFile(run.folder, compose());
  };
  return {
    touch: () => {
      for (const { name, environment } of state().workers.values()) {
        workers.add(name);
        nodes.add(environment.node);
      }
      timer ??= setTimeout(write, INTERVAL_MS);
    },
    noteLoading: (instance, seconds) => {
      loading.set(instance, Math.max(seconds, loading.get(instance) ?? 0));
    },
    noteWarnings: (stage, said) => {
      if (said.length > 0) warnings.set(stage, [...said]);
      else warnings.delete(stage);
    },
    write,
    end: (problem) => {
      const ended = { ...compose(), ended: new Date().toISOString() };
      writeRunFile(run.folder, problem === null ? ended : { ...ended, status: "failed", reason: problem });
    },
  };
}

/** The contents of run.json. It is made of the stages' totals; of shards only those that were given up are looked at. */
export function describeRun(
  { file, plan }: Pick<ServedRun, "file" | "plan">,
  run: RunProgress,
  workers: number,
  loadSeconds: number,
): RunFile {
  const total = (part: (stage: StageProgress) => number): number =>
    run.stages.reduce((sum, stage) => sum + part(stage), 0);
  const quarantined = quarantinedShards(run);
  return {
    ...file,
    ...statusOf(run),
    counts: {
      ...file.counts,
      shards: total(({ shards }) => shards.length),
      done: total(({ counts }) => counts.done),
      quarantined: quarantined.length,
      retries: file.counts.retries + total(({ failures }) => failures) - quarantined.length,
      workers: Math.max(file.counts.workers, workers),
    },
    quarantined: quarantined.map(({ shard, code, message }) => ({
      shard,
      code,
      message,
      prompts: promptsOf(plan, must(placeOf(run, shard), shard)),
    })),
    timings: timingsOf(plan, run),
    weight_loading_seconds: file.weight_loading_seconds + loadSeconds,
    warnings: [...new Set([...file.warnings, ...run.warnings])],
    ended: null,
  };
}

function promptsOf({ stages }: Plan, { stage, shard }: ShardPlace): number[] {
  return [...must(stages[stage], "stage of the plan").shards.at(shard).prompts];
}

/** An interrupted run counts as running: starting it again continues it. */
function statusOf({ state, reason }: RunProgress): Pick<RunFile, "status" | "reason"> {
  if (state === "queued") return { status: "running", reason: "waiting for the runs before it" };
  if (state === "interrupted") return { status: "running", reason: `interrupted: ${reason}` };
  return { status: state, reason };
}

/** Engine time and work of each stage; the scores, the truth and its repetition are added up, with each part beside. */
function timingsOf(plan: Plan, run: RunProgress): RunFile["timings"] {
  const timings: Record<string, Rate> = {};
  plan.stages.forEach((stage, index) => {
    if (stage.shards.length === 0) return;
    const rate = rateOf(must(run.stages[index], stage.id));
    const part = partOf(stage);
    if (part === null) timings[stage.id] = rate;
    else timings[part.whole] = addKind(timings[part.whole], part.kind, rate);
  });
  return timings;
}

/** What a stage is a part of: one score of `scores`, one node kind of `truth` or of `floor`. */
function partOf({ id }: Stage): { readonly whole: string; readonly kind: string } | null {
  const [, whole, kind] = /^([^-]+)-(.+)$/.exec(id) ?? [];
  return whole === undefined || kind === undefined ? null : { whole, kind };
}

function addKind(before: Rate | undefined, kind: string, rate: Rate): Rate {
  const seconds = (before?.seconds ?? 0) + rate.seconds;
  const units = (before?.units ?? 0) + rate.units;
  return { ...makeRate(seconds, units, rate.unit), by_kind: { ...before?.by_kind, [kind]: rate } };
}

/** What this run took and did: none of that is its own which records that it took over say. */
function rateOf({ engineSeconds, units, reused }: StageProgress): Rate {
  const [unit, amount] = Object.entries(units)[0] ?? ["shards", 0];
  return makeRate(engineSeconds - reused.engineSeconds, amount - (reused.units[unit] ?? 0), unit);
}

function makeRate(seconds: number, units: number, unit: string): Rate {
  return { seconds, units, unit, per_second: seconds > 0 ? units / seconds : 0 };
}
