/**
 * @file What prompts that share their beginnings gain, on real pairs: blocks of the rc pairs of data/english-agreement, word by word as tokens, on a
 * random model. Two builds are measured in turns: `node bench/engine/shared-rows.js --before DIST`, DIST a `dist` of the commit before.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { siteHook } from "../../dist/nodes/site.js";

const { values: flags } = parseArgs({
  options: {
    before: { type: "string" },
    dist: { type: "string" },
    size: { type: "string", default: "medium" },
    backend: { type: "string", default: "wasm" },
    turns: { type: "string", default: "3" },
    model: { type: "string", default: "" },
    results: { type: "string", default: "" },
  },
});
const OWN = fileURLToPath(new URL("../../dist", import.meta.url));
const DATA = fileURLToPath(new URL("../../data/english-agreement/rc.test.jsonl", import.meta.url));
const BLOCK = 32;
const BLOCKS = 2;
const TASKS = ["means", "atp", "truth", "circuits"];

if (flags.dist === undefined) await compare();
else await measure(resolve(flags.dist));

/** Runs both builds in turns and prints the ratios of their processor seconds. */
async function compare() {
  if (flags.before === undefined) throw new Error("--before: the dist folder of a build to compare with");
  const model = flags.model === "" ? join(OWN, "..", ".cache", `random-${flags.size}`) : flags.model;
  await ensureModel(model);
  const seconds = { before: [], after: [] };
  for (let turn = 0; turn < Number(flags.turns); turn++)
    for (const [name, dist] of Object.entries({ before: flags.before, after: OWN }))
      seconds[name].push(run(resolve(dist), model));
  const median = (name, task, unit) => {
    const sorted = seconds[name].map((turn) => turn[task][unit]).sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)];
  };
  const table = Object.fromEntries(
    TASKS.map((task) => {
      const of = (unit) => ({ before: median("before", task, unit), after: median("after", task, unit) });
      const [processor, wall] = [of("processor"), of("wall")];
      const ratio = ({ before, after }) => Math.round((100 * before) / after) / 100;
      return [task, { processor, wall, ratio_processor: ratio(processor), ratio_wall: ratio(wall) }];
    }),
  );
  const { size, backend, turns } = flags;
  const results = { size, backend, turns: Number(turns), prompts: BLOCKS * BLOCK, seconds: table };
  console.log(JSON.stringify(results, null, 2));
  if (flags.results !== "") writeFileSync(flags.results, `${JSON.stringify(results, null, 2)}\n`);
}

async function ensureModel(folder) {
  if (existsSync(join(folder, "saes"))) return;
  const { makeCheckpoint } = await import("../models/make-checkpoint.js");
  mkdirSync(join(folder, ".."), { recursive: true });
  await makeCheckpoint(flags.size, `${folder}.part`);
  renameSync(`${folder}.part`, folder);
}

function run(dist, model) {
  const args = [fileURLToPath(import.meta.url), "--dist", dist, "--model", model];
  const given = ["--size", flags.size, "--backend", flags.backend];
  const { stdout, status } = spawnSync(process.execPath, [...args, ...given], { stdio: ["ignore", "pipe", "inherit"] });
  if (status !== 0) throw new Error(`${dist} ended with ${String(status)}`);
  return JSON.parse(String(stdout));
}

/** Seconds of each task with one build. */
async function measure(dist) {
  const load = async (path) => await import(pathToFileURL(join(dist, path)).href);
  const { startBackend } = await load("backends/start-backend.js");
  const { openCheckpoint } = await load("weights/checkpoint.js");
  const { findSaes } = await load("weights/sae-folder.js");
  const { openSpliced } = await load("passes/spliced-model.js");
  const { computeMeans } = await load("experiments/means/means.js");
  const { computeScores } = await load("experiments/scores/scores.js");
  const { computeTruth } = await load("experiments/truth/truth.js");
  const { computeCircuits } = await load("experiments/circuits/circuits.js");
  const { atp } = await load("methods/atp.js");
  await startBackend(flags.backend);
  const checkpoint = await openCheckpoint(join(flags.model, "model"));
  const spliced = await openSpliced(checkpoint, await findSaes(join(flags.model, "saes"), checkpoint.config));
  const blocks = blocksOfPairs();
  const T = blocks[0][0].clean.length;
  const sites = spliced.saes.map(({ site, layer, sae }) => ({ site, layer, F: sae.now().dSae }));
  const nodes = sites.flatMap(({ site, layer }) =>
    Array.from({ length: T - 1 }, (_, i) => ({ kind: "error", site, layer, position: i + 1 })),
  );
  const interventions = [0.1, 0.01, 0.003].map((share) => interventionOf(share, sites, T));
  const score = { score: { name: "atp", method: "atp" }, method: atp, reduce: "max" };
  const tasks = {
    means: (prompts) => computeMeans(spliced, prompts, "max"),
    atp: (prompts) => computeScores(spliced, prompts, score),
    truth: (prompts) => computeTruth(spliced, prompts, "max", nodes.slice(0, 24), 1024),
    circuits: (prompts) =>
      computeCircuits(spliced, prompts, {
        reduce: "max",
        interventions,
        ablation: { kind: "zero" },
        rowsPerBlock: 1024,
      }),
  };
  const found = {};
  for (const name of TASKS) {
    await tasks[name](blocks[0].slice(0, 4));
    const [began, cpu] = [performance.now(), process.cpuUsage()];
    for (const prompts of blocks) await tasks[name](prompts);
    const { user, system } = process.cpuUsage(cpu);
    found[name] = { processor: (user + system) / 1e6, wall: (performance.now() - began) / 1000 };
  }
  console.log(JSON.stringify(found));
  process.exit(0);
}

/** Blocks of pairs as planning cuts them: sorted by their tokens. A word is a token. */
function blocksOfPairs() {
  const ids = new Map();
  const idOf = (word) => ids.get(word) ?? ids.set(word, 10 + ids.size).get(word);
  const tokens = (text) => [2, ...text.split(" ").map(idOf)];
  const prompts = readFileSync(DATA, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
    .map((row, i) => ({
      line: i + 1,
      clean: tokens(row.clean_prefix),
      corrupted: tokens(row.patch_prefix),
      correct: idOf(row.clean_answer),
      incorrect: [idOf(`other${row.patch_answer}`)],
    }))
    .sort((a, b) => compareTokens([...a.clean, ...a.corrupted], [...b.clean, ...b.corrupted]));
  const middle = Math.floor(prompts.length / 3);
  return Array.from({ length: BLOCKS }, (_, i) => prompts.slice(i * middle, i * middle + BLOCK));
}

function compareTokens(a, b) {
  const at = a.findIndex((token, i) => token !== b[i]);
  return at < 0 ? 0 : a[at] - b[at];
}

/** Keeps a share of the features, the same at all positions, and every tenth error. */
function interventionOf(share, sites, T) {
  return new Map(
    sites.map(({ site, layer, F }, s) => [
      siteHook({ site, layer }),
      {
        features: Uint8Array.from({ length: T * F }, (_, i) => ((i % F) % Math.round(1 / share) === 0 ? 0 : 1)),
        errors: Uint8Array.from({ length: T }, (_, t) => ((s + t) % 10 === 0 ? 0 : 1)),
        slices: new Uint8Array(0),
      },
    ]),
  );
}
