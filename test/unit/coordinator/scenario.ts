/** @file A coordinator's state machine in a test: events in, leases and effects out, a clock that only the test moves. */
import { must } from "../../../src/base/assert.js";
import type { ErrorCode } from "../../../src/base/errors.js";
import type { CoordinatorEffect, CoordinatorEvent, RecordFacts, RunToAdd } from "../../../src/coordinator/events.js";
import type { ShardState } from "../../../src/coordinator/shard.js";
import {
  DEFAULT_SETTINGS,
  initialState,
  type CoordinatorState,
  type RunProgress,
  type Settings,
} from "../../../src/coordinator/state.js";
import { step } from "../../../src/coordinator/step.js";
import type { WorkerEnvironment } from "../../../src/base/environment.js";
import type { Lease } from "../../../src/wire/messages.js";
import { RecordedShards } from "../../../src/coordinator/recorded-shards.js";

export const ENVIRONMENT: WorkerEnvironment = {
  code: "1",
  backend: "wasm",
  device: "cpu",
  threads: 1,
  dtype: "float32",
  node: "20",
  tfjs: "core 4.22.0",
};

/** A run of stages written as `name: [shards, ...dependsOn]`. */
export function runOf(
  id: string,
  stages: Record<string, readonly [number, ...string[]]>,
  { recorded = {}, ...more }: Partial<RunToAdd> & { readonly recorded?: Records } = {},
): RunToAdd {
  return {
    id,
    name: id,
    planHash: "h",
    allowPartial: false,
    environment: {},
    stages: Object.entries(stages).map(([stage, [shards, ...dependsOn]]) => ({
      id: stage,
      dependsOn,
      shards,
      recorded: recordedOf(shards, recorded[stage] ?? {}),
    })),
    ...more,
  };
}

/** Records that the log holds, by stage and index. */
type Records = Readonly<Record<string, Readonly<Record<number, Parameters<RecordedShards["add"]>[1]>>>>;

function recordedOf(length: number, records: Records[string]): RecordedShards {
  const recorded = new RecordedShards(length);
  for (const [index, record] of Object.entries(records)) recorded.add(Number(index), record);
  return recorded;
}

const TICK_MS = 200;

/** One coordinator. */
export class Scenario {
  state: CoordinatorState;
  now = 0;
  /** All effects so far. */
  readonly effects: CoordinatorEffect[] = [];
  /** Every lease granted so far, in order, with its session. */
  readonly grants: { readonly session: string; readonly lease: Lease }[] = [];
  #sessions = 0;

  constructor(settings: Partial<Settings> = {}, epoch = 1) {
    this.state = initialState({ ...DEFAULT_SETTINGS, ...settings }, epoch, "n");
  }

  /** @returns the effects of this event. */
  tell(event: CoordinatorEvent): readonly CoordinatorEffect[] {
    const { state, effects } = step(this.state, event, this.now);
    this.state = state;
    this.effects.push(...effects);
    for (const effect of effects) if (effect.kind === "grant") this.grants.push(effect);
    return effects;
  }

  /** Lets time pass, with a look at the clock every 200 ms and at the end. @returns the effects of all looks. */
  wait(milliseconds: number): readonly CoordinatorEffect[] {
    const effects: CoordinatorEffect[] = [];
    for (const end = this.now + milliseconds; this.now < end;) {
      this.now = Math.min(end, this.now + TICK_MS);
      effects.push(...this.tell({ kind: "tick" }));
    }
    return effects;
  }

  /** The coordinator's process stands still, and looks at the clock when it goes on. */
  pause(milliseconds: number): readonly CoordinatorEffect[] {
    this.now += milliseconds;
    return this.tell({ kind: "tick" });
  }

  /** A worker attaches. @returns its session. */
  attach(
    worker: string,
    more: { environment?: WorkerEnvironment; instance?: string; holding?: readonly Lease[] } = {},
  ): string {
    const session = `s${String(++this.#sessions)}`;
    const { environment = ENVIRONMENT, instance = worker, holding = [] } = more;
    const registration = {
      kind: "register",
      protocol: 1,
      worker,
      instance,
      environment,
      memoryMib: 0,
      holding,
    } as const;
    this.tell({ kind: "workerAttached", worker, session, registration });
    return session;
  }

  /** A worker's heartbeat, which names all that it holds. */
  beat(worker: string): void {
    const leases = (this.state.workers.get(worker)?.leases ?? []).map(({ id }) => id);
    this.tell({ kind: "heartbeat", worker, session: this.sessionOf(worker), leases, engine: null });
  }

  /** The leases a worker holds, as shard ids. */
  held(worker: string): string[] {
    return (this.state.workers.get(worker)?.leases ?? []).map(({ shardId }) => shardId);
  }

  /** The worker finishes the shard: reported, verified. */
  complete(worker: string, shard: string, sha256 = shard, stored = sha256): readonly CoordinatorEffect[] {
    const lease = this.leaseOf(worker, shard);
    this.tell({ kind: "shardCompleted", worker, session: this.sessionOf(worker), lease, sha256 });
    const record: RecordFacts = { shard, sha256: stored, seconds: 1, units: { rows: 2 }, reused: false };
    return this.tell({
      kind: "recordVerified",
      run: lease.run,
      report: { worker, lease: lease.id, shard, sha256 },
      record,
    });
  }

  /** The worker fails the shard. */
  fail(worker: string, shard: string, code: ErrorCode, message = "because"): readonly CoordinatorEffect[] {
    const lease = this.leaseOf(worker, shard);
    const failure = { code, message, file: "", line: 0, field: "" };
    return this.tell({ kind: "shardFailed", worker, session: this.sessionOf(worker), lease, failure });
  }

  run(id = "r"): RunProgress {
    return must(this.state.runs.get(id), id);
  }

  /** Phases of a stage's shards. */
  phases(stage: number, id = "r"): string[] {
    return this.shards(stage, id).map(({ phase }) => phase);
  }

  /** A stage's shards. */
  shards(stage: number, id = "r"): ShardState[] {
    return [...must(this.run(id).stages[stage], "stage").shards];
  }

  sessionOf(worker: string): string {
    return must(this.state.workers.get(worker)?.session, `session of ${worker}`);
  }

  /** The last lease of the shard that was granted to the worker, whether it still holds it or not. */
  leaseOf(worker: string, shard: string): Lease {
    const id = this.state.workers.get(worker)?.leases.find((held) => held.shardId === shard)?.id;
    const known = this.grants.filter(({ lease }) => lease.shard === shard && (id === undefined || lease.id === id));
    return must(known.at(-1), `lease of ${shard}`).lease;
  }
}
