/**
 * @file `npm run bench:peers -- [--size medium|2b-slice] [--task NAME] [--repeats N] [--minutes N] [--python PATH] [--folder FOLDER] [--name NAME] [--float64]`
 *
 * Times the engine against plain PyTorch with hooks (peers.py) on the same random weights, in one run, in turns: product rate, engine,
 * peer, and again. A side's turn is its task over and over for two seconds at least, as a sweep runs block after block. Both sides'
 * values are compared first. Machines are shared, so ratios are taken within a turn, by wall time and by processor time, and the product
 * rate of the run stands beside them. Writes peers-SIZE.{json,md}.
 * With --float64 the peer runs once more in float64 (twice its memory), and the JSON says how far both float32 sides are from it.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { CIRCUIT_PROMPTS, ensureCheckpoint } from "../engine/engine-tasks.js";
import { median } from "../figures.js";
import { SIZES } from "../models/make-checkpoint.js";
import { machineFacts, RESULTS_OPTION, writeResults } from "../results.js";
import { compare } from "./agreement.js";
import { startLineProcess } from "./line-process.js";
import { ensurePython } from "./setup.js";
import { markdown, summary } from "./table.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const { values: flags } = parseArgs({
  options: {
    size: { type: "string", multiple: true, default: ["medium", "2b-slice"] },
    task: { type: "string", multiple: true },
    repeats: { type: "string", default: "3" },
    minutes: { type: "string", default: "7" },
    threads: { type: "string", default: String(availableParallelism()) },
    backend: { type: "string", default: "torch" },
    python: { type: "string" },
    folder: { type: "string", default: join(ROOT, ".cache", "bench") },
    name: { type: "string" },
    results: RESULTS_OPTION,
    float64: { type: "boolean", default: false },
  },
});

/** Seconds that a side's turn takes, at least. */
const TURN_SECONDS = 2;

/** How much of each task the peer does in a turn: its time does not depend on which prompts, nodes or circuits. */
const PEER_SHARE = {
  tiny: { prompts: 8, nodes: 2, circuits: [0] },
  medium: { prompts: 32, nodes: 8, circuits: [0, 1, 2] },
  "2b-slice": { prompts: 16, nodes: 3, circuits: [2] },
};

const python = flags.python ?? ensurePython(join(ROOT, ".cache", "peers", "venv"));
const env = { OMP_NUM_THREADS: flags.threads, OMP_WAIT_POLICY: "passive" };
for (const size of flags.size) await benchSize(size);

async function benchSize(size) {
  const folder = join(flags.folder, size);
  mkdirSync(flags.folder, { recursive: true });
  await ensureCheckpoint(size, folder);
  const deadline = performance.now() + Number(flags.minutes) * 60_000;
  const here = (name) => fileURLToPath(new URL(name, import.meta.url));
  const engine = await startLineProcess(process.execPath, [here("engine.js"), size, folder, flags.backend], env);
  const share = PEER_SHARE[size];
  const workFile = join(folder, "peer-work.json");
  const { work, picked } = workOf(engine.ready.ready, share);
  const startPeer = (dtype) => {
    writeFileSync(workFile, JSON.stringify({ folder, threads: Number(flags.threads), dtype, ...work }));
    return startLineProcess(python, [here("peers.py"), workFile], env);
  };
  const peer = await startPeer("float32");
  const tasks = Object.keys(engine.ready.ready.units).filter((name) => flags.task?.includes(name) ?? true);
  const gemms = { square: [2048, 2048, 2048], layer: [7 * share.prompts, SIZES[size].width, SIZES[size].mlp] };
  const rates = {};
  const gemm = await productRates(engine, peer, gemms);
  for (const [i, task] of tasks.entries()) {
    const until = performance.now() + (deadline - performance.now()) / (tasks.length - i);
    rates[task] = await benchTask(engine, peer, task, picked[task], until, gemms.layer);
    console.error(`${size}, ${task}: ${JSON.stringify(summary(rates[task]))}`);
  }
  const after = await productRates(engine, peer, gemms);
  await Promise.all([engine.end(), peer.end()]);
  if (flags.float64) await compareInFloat64(await startPeer("float64"), rates);
  for (const rate of Object.values(rates)) delete rate.values;
  const results = {
    machine: machineFacts(),
    backend: flags.backend,
    peer: peer.ready.ready,
    size: { name: size, ...SIZES[size], blocks: engine.ready.ready.blocks, peer: share },
    gemm_gflops: { shapes: gemms, before: gemm, after },
    units: engine.ready.ready.units,
    rates,
  };
  const name = `${flags.name ?? "peers"}-${size}`;
  writeResults(flags.results, name, results);
  const table = markdown(results);
  writeFileSync(join(flags.results, `${name}.md`), table);
  console.log(table);
}

/** What the peer is asked to do, and which of the engine's values answer to it. */
function workOf({ prompts, nodes, parts }, share) {
  const some = (list, count) => Array.from({ length: count }, (_, i) => Math.floor(((i + 0.5) * list.length) / count));
  const chosen = { error: some(nodes.error, share.nodes), feature: some(nodes.feature, share.nodes) };
  const pick = (list, indexes) => indexes.map((i) => list[i]);
  const all = prompts.length;
  const columns = (slots, count) =>
    slots.flatMap((slot) => Array.from({ length: share.prompts }, (_, p) => p * count + slot));
  const circuitRows = (length) => share.circuits.flatMap((c) => Array.from({ length }, (_, r) => c * length + r));
  const work = {
    prompts: prompts.slice(0, share.prompts),
    peerPrompts: share.prompts,
    circuitPrompts: CIRCUIT_PROMPTS,
    nodes: { error: pick(nodes.error, chosen.error), feature: pick(nodes.feature, chosen.feature) },
    circuits: Object.fromEntries(Object.entries(parts).map(([name, list]) => [name, pick(list, share.circuits)])),
  };
  const picked = {
    means: share.prompts === all ? (values) => values : null,
    atp: (values) => values.filter((_, i) => Math.floor(i / 7) % all < share.prompts),
    "truth, error nodes": (values) => pick(values, columns(chosen.error, nodes.error.length)),
    "truth, feature nodes": (values) => pick(values, columns(chosen.feature, nodes.feature.length)),
    circuits: (values) => pick(values, circuitRows(2 * CIRCUIT_PROMPTS)),
    "circuits, errors kept": (values) => pick(values, circuitRows(2 * CIRCUIT_PROMPTS)),
  };
  return { work, picked };
}

/** Both sides in turns until the repeats or the time are used up; at least one turn. */
async function benchTask(engine, peer, task, pick, until, shape) {
  const first = { engine: await engine.ask({ task, values: true }), peer: await peer.ask({ task, values: true }) };
  const values = { engine: pick === null ? null : pick(first.engine.values), peer: first.peer.values };
  const agreement = compare(values.engine, values.peer);
  const turns = [];
  let longest = 0;
  while (turns.length < Number(flags.repeats) && (turns.length === 0 || performance.now() + longest < until)) {
    const began = performance.now();
    const product = (await engine.ask({ task: "gemm", shape })).seconds;
    const turn = { engine: await turnOf(engine, task), peer: await turnOf(peer, task), product };
    turns.push(turn);
    longest = Math.max(longest, performance.now() - began);
  }
  return { agreement, values, turns };
}

async function turnOf(side, task) {
  const turn = { units: 0, seconds: 0, cpu: 0, peak: 0 };
  while (turn.seconds < TURN_SECONDS) {
    const { units, seconds, cpu, peak } = await side.ask({ task });
    turn.units += units;
    turn.seconds += seconds;
    turn.cpu += cpu;
    turn.peak = Math.max(turn.peak, peak);
  }
  return turn;
}

/** Adds how far the values of both float32 sides are from the peer's in float64, which needs twice its memory. */
async function compareInFloat64(exact, rates) {
  for (const [task, { agreement, values }] of Object.entries(rates)) {
    if (agreement === null) continue;
    const wanted = (await exact.ask({ task, values: true })).values;
    const from = { engine: compare(values.engine, wanted), peer: compare(values.peer, wanted) };
    agreement.from_float64 = from;
    console.error(`${task}, from float64: ${JSON.stringify(from)}`);
  }
  await exact.end();
}

async function productRates(engine, peer, shapes) {
  const rates = {};
  for (const [name, shape] of Object.entries(shapes)) {
    const rate = async (side) => {
      const found = [];
      for (let i = 0; i < 3; i++) found.push(await side.ask({ task: "gemm", shape }));
      return {
        wall: median(found.map(({ units, seconds }) => units / seconds)),
        cpu: median(found.map(({ units, cpu }) => units / cpu)),
      };
    };
    rates[name] = { engine: await rate(engine), peer: await rate(peer) };
  }
  return rates;
}
