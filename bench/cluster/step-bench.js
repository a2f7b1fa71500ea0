/**
 * @file What a shard costs the coordinator's state machine, by the number of shards of the run: `node bench/cluster/step-bench.js`.
 *
 * 1. The state machine alone goes through whole runs of 1,000 shards a second: each shard is reported by one of eight workers, its
 *    record is verified, the next one is leased; one in a hundred fails at first. In each second every worker sends a heartbeat, the
 *    clock is looked at five times, four statuses are made, and run.json once. Nothing is sent or written.
 * 2. Runs of one size are repeated until MEASURED_SHARDS have gone through; the largest goes through once.
 * 3. Time is processor time, garbage collection included. The bench fails where something costs more than BOUND times what it costs
 *    in the smallest run. It writes step.json.
 */
import { parseArgs } from "node:util";
import { runStatus } from "../../dist/coordinator/explain.js";
import { RecordedShards } from "../../dist/coordinator/recorded-shards.js";
import { describeRun } from "../../dist/coordinator/run-file.js";
import { DEFAULT_SETTINGS, initialState } from "../../dist/coordinator/state.js";
import { step } from "../../dist/coordinator/step.js";
import { StageShards } from "../../dist/plan/stage-shards.js";
import { round } from "../figures.js";
import { machineFacts, RESULTS_OPTION, writeResults } from "../results.js";

const { values: flags } = parseArgs({
  options: {
    name: { type: "string", default: "step" },
    largest: { type: "string", default: "1000000" },
    results: RESULTS_OPTION,
  },
});
const SIZES = [1000, 10_000, 100_000, 1_000_000].filter((size) => size <= Number(flags.largest));
const MEASURED_SHARDS = 100_000;
/** Shards that pass in a quarter of a second. */
const A_QUARTER = 250;
const WORKERS = 8;
const BOUND = 2;
const OFTEN = 20;
const ENVIRONMENT = { code: "1", backend: "none", device: "none", threads: 1, dtype: "float32" };
const FAILURE = { code: "engine_died", message: "the engine died", file: "", line: 0, field: "" };

for (let i = 0; i < 20; i++) throughRun(SIZES[0], newTimes()); // What is measured is compiled.
const results = [];
for (const size of SIZES) results.push(measure(size, results[0]?.microseconds));
const costly = results.filter(({ ratios }) => Object.values(ratios).some((ratio) => ratio > BOUND));
const command = ["node bench/cluster/step-bench.js", ...process.argv.slice(2)].join(" ");
writeResults(flags.results, flags.name, { machine: machineFacts(), command, results });
if (costly.length > 0) {
  console.error(`more than ${String(BOUND)} times the cost at ${costly.map(({ shards }) => shards).join(", ")} shards`);
  process.exitCode = 1;
}

/** @param first what the parts cost in the smallest run. */
function measure(shards, first) {
  const times = newTimes();
  for (let done = 0; done < MEASURED_SHARDS; done += shards) throughRun(shards, times);
  const microseconds = {};
  for (const [part, { total, count }] of Object.entries(times)) microseconds[part] = round(total / count);
  const ratios = {};
  for (const part of ["shard", "status", "runFile"])
    ratios[part] = round(microseconds[part] / (first ?? microseconds)[part]);
  console.log(
    `${String(shards)} shards: microseconds ${JSON.stringify(microseconds)}, ratios ${JSON.stringify(ratios)}`,
  );
  return { shards, microseconds, ratios };
}

/** Microseconds of processor time and number of each part; adding a run is counted by its shards. */
function newTimes() {
  const parts = ["addedShard", "shard", "status", "runFile"];
  return Object.fromEntries(parts.map((part) => [part, { total: 0, count: 0 }]));
}

function timed(time, count, act) {
  const start = process.cpuUsage();
  act();
  const { user, system } = process.cpuUsage(start);
  time.total += user + system;
  time.count += count;
}

/** Little that is done once costs what the caches happen to hold. */
function timedOften(time, act) {
  timed(time, OFTEN, () => {
    for (let i = 0; i < OFTEN; i++) act();
  });
}

function throughRun(count, times) {
  const shards = new StageShards("noop", [], { blocks: null, slots: [[0, count]], cells: 1 });
  const stage = { id: "noop", task: { kind: "noop" }, shards };
  /** What `describeRun` reads of a run. */
  const served = /** @type {any} */ ({ file: { counts: {}, warnings: [] }, plan: { stages: [stage] } });
  const leases = [];
  let state = initialState(DEFAULT_SETTINGS, 1, "n");
  let now = 0;
  const tell = (event) => {
    const turn = step(state, event, now);
    state = turn.state;
    for (const effect of turn.effects) if (effect.kind === "grant") leases.push(effect);
  };
  const pass = () => {
    now++;
    for (const event of outcome(leases.shift())) tell(event);
    if (now % 125 === 0) tell(heartbeat(state, (now / 125) % WORKERS));
    if (now % 200 === 0) tell({ kind: "tick" });
  };
  const passQuarter = () => {
    for (let i = 0; i < A_QUARTER && leases.length > 0; i++) pass();
  };

  timed(times.addedShard, count, () => tell({ kind: "runAdded", run: runToAdd(count) }));
  for (let i = 0; i < WORKERS; i++) tell(attached(i));
  for (let quarter = 0; leases.length > 0; quarter++) {
    if (quarter % 4 === 0) timedOften(times.runFile, () => describeRun(served, state.runs.get("r"), WORKERS, 0));
    timedOften(times.status, () => runStatus(state, "r", "", now));
    const before = now;
    timed(times.shard, 0, passQuarter);
    times.shard.count += now - before;
  }
  const { counts } = state.runs.get("r").stages[0];
  if (counts.done !== count) throw new Error(`${String(counts.done)} of ${String(count)} shards are done`);
}

function runToAdd(shards) {
  const stages = [{ id: "noop", dependsOn: [], shards, recorded: new RecordedShards(shards) }];
  return { id: "r", name: "r", planHash: "h", allowPartial: false, environment: {}, stages };
}

function attached(index) {
  const worker = `worker-${String(index)}`;
  const registration = { kind: "register", instance: worker, environment: ENVIRONMENT, memoryMib: 0, holding: [] };
  return { kind: "workerAttached", worker, session: worker, registration };
}

function heartbeat(state, index) {
  const worker = `worker-${String(index)}`;
  const leases = state.workers.get(worker).leases.map(({ id }) => id);
  return { kind: "heartbeat", worker, session: worker, leases, engine: null };
}

/** The events that end a lease: a failure, or a report and what the check of the record says. */
function outcome({ session: worker, lease }) {
  const { id, shard, attempt, run } = lease;
  if (attempt === 1 && shard.endsWith("50"))
    return [{ kind: "shardFailed", worker, session: worker, lease, failure: FAILURE }];
  const report = { worker, lease: id, shard, sha256: shard };
  const record = { shard, sha256: shard, seconds: 0.001, units: { rows: 1 } };
  return [
    { kind: "shardCompleted", worker, session: worker, lease, sha256: shard },
    { kind: "recordVerified", run, report, record },
  ];
}
