/**
 * @file The coordinator without its sockets: the state machine, its runs, and the effects carried out.
 *
 * The life of a run here: opened and replayed; added to the state machine; its stages reduced as they fill; when it ends, run.json gets
 * the outcome, the report is written, and run.json is closed.
 */
import { must } from "../base/assert.js";
import { PatchbayError, toPatchbayError } from "../base/errors.js";
import type { WorkerEnvironment } from "../base/environment.js";
import { warningsOfTaken } from "../run/earlier-artifacts.js";
import { runPaths } from "../run/run-folder.js";
import type { ClusterStatus, RunStatus } from "../wire/messages.js";
import type { CoordinatorEffect, CoordinatorEvent, EffectOf } from "./events.js";
import { startDriver, type Driver } from "./driver.js";
import { clusterStatus, runStatus } from "./explain.js";
import type { Reducer } from "./reducer.js";
import { keepRunFile, type RunFileKeeper } from "./run-file.js";
import { toRunToAdd, verifyReport, type Replay, type ServedRun } from "./served-run.js";
import { Sessions } from "./sessions.js";
import { Settlements } from "./settlements.js";
import { initialState, type Settings } from "./state.js";

/** What a cluster is made from. */
export interface ClusterOptions {
  readonly settings: Settings;
  /** Larger than that of any coordinator before. */
  readonly epoch: number;
  readonly nonce: string;
  readonly reducer: Reducer;
  /** There is one run, and the workers are not needed when it has ended. */
  readonly single: boolean;
  /** Takes a line for people. */
  readonly say: (text: string) => void;
  /** Sees every event and effect, in order. */
  readonly observe?: (happening: CoordinatorEvent | CoordinatorEffect) => void;
}

interface Served {
  readonly run: ServedRun;
  readonly keeper: RunFileKeeper;
  readonly ended: Promise<RunStatus>;
  readonly settle: (status: RunStatus) => void;
}

/** A running coordinator core. */
export class Cluster {
  readonly driver: Driver;
  readonly sessions: Sessions;
  readonly #options: ClusterOptions;
  readonly #served = new Map<string, Served>();
  /** Runs that are not taken up: an earlier coordinator ended them, or they cannot be continued. */
  readonly #earlier = new Map<string, RunStatus>();
  readonly #settlements: Settlements;
  #dismissal: string | null = null;

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.sessions = new Sessions({
      onEvent: (event) => {
        this.dispatch(event);
      },
      onLoading: (instance, seconds) => {
        this.#forActive((keeper) => {
          keeper.noteLoading(instance, seconds);
        });
      },
    });
    this.#settlements = new Settlements(this.sessions);
    const initial = initialState(options.settings, options.epoch, options.nonce);
    this.driver = startDriver(initial, (effect) => {
      this.#perform(effect);
    });
    this.driver.onChange(() => {
      this.#forActive((keeper) => {
        keeper.touch();
      });
    });
  }

  /** Keeps the final status of a run that is not taken up, for clients that ask. */
  remember(status: RunStatus): void {
    if (!this.#served.has(status.run)) this.#earlier.set(status.run, status);
  }

  /** Takes up a run. Resolves with its final status, when everything about it is written. */
  serve(run: ServedRun, replayed: Replay): Promise<RunStatus> {
    let settle: (status: RunStatus) => void = () => undefined;
    const ended = new Promise<RunStatus>((resolve) => (settle = resolve));
    this.#earlier.delete(run.id);
    this.#served.set(run.id, { run, keeper: keepRunFile(run, () => this.driver.state()), ended, settle });
    this.dispatch({ kind: "runAdded", run: toRunToAdd(run, replayed) });
    for (const id of this.#served.keys())
      if (id !== run.id && !this.driver.state().runs.has(id)) this.#served.delete(id);
    return ended;
  }

  /**
   * Whether the run is new here, or has ended without being complete, or its folder is not complete any more; waits for the end of
   * what is being written.
   */
  async mayServe({ id, file }: ServedRun): Promise<boolean> {
    const state = this.driver.state().runs.get(id)?.state;
    if (state === undefined) return true;
    if (state === "queued" || state === "running" || (state === "complete" && file.status === "complete")) return false;
    await this.#served.get(id)?.ended;
    return true;
  }

  /** Environments of the attached workers. */
  environments(): WorkerEnvironment[] {
    const workers = [...this.driver.state().workers.values()];
    return workers.filter(({ session }) => session !== null).map(({ environment }) => environment);
  }

  /** Something has happened. */
  dispatch(event: CoordinatorEvent): void {
    this.#options.observe?.(event);
    this.driver.dispatch(event);
  }

  /** Folders of all runs by id, also of those that have ended. */
  folders(): ReadonlyMap<string, string> {
    const earlier = [...this.#earlier].map(([id, { folder }]) => [id, folder] as const);
    return new Map([...earlier, ...[...this.#served].map(([id, { run }]) => [id, run.folder] as const)]);
  }

  /** How a run stands. */
  status(id: string): RunStatus {
    return this.#earlier.get(id) ?? runStatus(this.driver.state(), id, this.#run(id).folder, this.driver.now());
  }

  /** How all runs and workers stand. */
  clusterStatus(): ClusterStatus {
    const { runs, workers } = clusterStatus(this.driver.state(), this.folders(), this.driver.now());
    return { runs: [...this.#earlier.values(), ...runs], workers };
  }

  /** Makes an artifact of a run again that was found damaged. */
  async remakeArtifact(id: string, name: string): Promise<void> {
    const folder = must(this.folders().get(id), `run ${id}`);
    if (this.driver.state().runs.get(id)?.state === "running") this.#served.get(id)?.keeper.write();
    sayRemade(this.#options, folder, await this.#options.reducer.remakeIfDamaged(folder, name));
  }

  /** Resolves when every run taken up so far has its final status. */
  async settled(): Promise<void> {
    await Promise.all([...this.#served.values()].map(({ ended }) => ended));
  }

  /** Whether the workers were told that they are not needed any more. */
  get dismissed(): boolean {
    return this.#dismissal !== null;
  }

  #dismissWorkers(reason: string): void {
    this.#dismissal = reason;
    for (const session of this.sessions.names()) this.#letGo(session, reason);
  }

  #run(id: string): ServedRun {
    return must(this.#served.get(id), `run ${id}`).run;
  }

  #forActive(act: (keeper: RunFileKeeper) => void): void {
    for (const [id, { keeper }] of this.#served) {
      if (this.driver.state().runs.get(id)?.state === "running") act(keeper);
    }
  }

  #letGo(session: string, reason: string): void {
    this.sessions.send(session, { kind: "leave", reason });
  }

  #perform(effect: CoordinatorEffect): void {
    const { observe, say, epoch, settings } = this.#options;
    observe?.(effect);
    switch (effect.kind) {
      case "welcome":
        this.sessions.send(effect.session, { kind: "welcome", epoch, heartbeatMs: settings.heartbeatMs });
        if (this.#dismissal !== null) this.#letGo(effect.session, this.#dismissal);
        return;
      case "grant":
        grant(this.sessions, this.#run(effect.lease.run), effect);
        return;
      case "revoke": {
        const { lease, stop, reason } = effect;
        this.sessions.send(effect.session, { kind: "revoke", lease, stop, reason });
        return;
      }
      case "recall":
        this.sessions.send(effect.session, { kind: "recall", lease: effect.lease });
        return;
      case "settled":
        this.#settlements.add(effect.session, effect.lease);
        return;
      case "leave":
        this.#letGo(effect.session, effect.reason);
        return;
      case "close":
        this.sessions.close(effect.session, new PatchbayError("worker_lost", effect.reason));
        return;
      case "verify":
        this.#later(verify(this.#run(effect.run), effect));
        return;
      case "reduce":
        this.#later(reduce(must(this.#served.get(effect.run), effect.run), this.#options, effect));
        return;
      case "finished":
        // The workers of an interrupted run wait for the coordinator that continues it.
        if (this.#options.single && effect.state !== "interrupted") this.#dismissWorkers(`the run is ${effect.state}`);
        void this.#finish(must(this.#served.get(effect.run), effect.run));
        return;
      case "nondeterminism":
        say(`nondeterminism: ${effect.message}`);
        return;
      case "log":
        if (this.#dismissal === null) say(effect.text); // That workers leave when they were told to is no news.
        return;
      case "quarantined":
      case "started":
        return;
    }
  }

  #later(pending: Promise<CoordinatorEvent>): void {
    void pending.then((event) => {
      this.dispatch(event);
    });
  }

  async #finish({ run, keeper, settle }: Served): Promise<void> {
    const status = this.status(run.id);
    keeper.write();
    const reports = status.state === "complete" || status.state === "partial" || status.state === "failed";
    const problem = reports ? await writeReport(this.#options, run.folder) : null;
    keeper.end(problem);
    await run.close();
    settle(problem === null ? status : { ...status, state: "failed", reason: problem });
  }
}

/** @returns what went wrong, or null. */
async function writeReport(options: ClusterOptions, folder: string): Promise<string | null> {
  try {
    sayRemade(options, folder, await options.reducer.finishRun(folder));
    return null;
  } catch (thrown) {
    return `the report could not be written: ${toPatchbayError(thrown).message}`;
  }
}

function sayRemade({ say }: ClusterOptions, folder: string, names: readonly string[]): void {
  for (const name of names)
    say(`${runPaths(folder).artifact(name)} was damaged on the disk; it was made again from the run log`);
}

function grant(sessions: Sessions, run: ServedRun, { session, lease }: EffectOf<"grant">): void {
  const { model, saes, saeOptions, hub } = run.file.inputs;
  sessions.once(session, run.id, () => {
    sessions.send(session, {
      kind: "runOpened",
      run: run.id,
      planHash: run.file.plan_hash,
      log: run.logLocation,
      model,
      saes: saes ?? "",
      saeOptions: JSON.stringify(saeOptions),
      hub: hub === undefined ? "" : JSON.stringify(hub),
    });
  });
  sessions.send(session, { kind: "grant", lease });
}

async function verify(run: ServedRun, { report }: EffectOf<"verify">): Promise<CoordinatorEvent> {
  try {
    return { kind: "recordVerified", run: run.id, report, record: await verifyReport(run, report) };
  } catch (thrown) {
    const { code, message } = toPatchbayError(thrown);
    return { kind: "recordRejected", run: run.id, report, code, message };
  }
}

async function reduce(
  { run, keeper }: Served,
  options: ClusterOptions,
  { stage, missing }: EffectOf<"reduce">,
): Promise<CoordinatorEvent> {
  try {
    const known = missing.length === 0 ? await warningsOfTaken(run.folder, run.file, stage) : undefined;
    if (known !== undefined) {
      keeper.noteWarnings(stage, known);
      return { kind: "stageReduced", run: run.id, stage, warnings: known };
    }
    keeper.write(); // An artifact that must be made again is made without the shards that run.json says were given up.
    const { remade, warnings } = await options.reducer.reduceStage(run.folder, stage, missing);
    sayRemade(options, run.folder, remade);
    keeper.noteWarnings(stage, warnings);
    return { kind: "stageReduced", run: run.id, stage, warnings };
  } catch (thrown) {
    const { code, message } = toPatchbayError(thrown);
    return { kind: "reduceFailed", run: run.id, stage, code, message };
  }
}
