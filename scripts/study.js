/**
 * @file `npm run study:gemma3-270m`: the sweeps behind docs/results/gemma3-270m.md on four templates of English agreement, and its tables.
 * Runs are kept under runs/study, and what is finished is not run again. Weights and the libtorch backend come as for `npm run demo:real`.
 */
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureInstalled, ROOT, runStep } from "./install.js";
import { engineCount, torchOrWasm } from "./torch-or-wasm.js";

/** Templates of data/english-agreement, from few words between subject and verb to many. */
const TEMPLATES = ["simple", "within_rc", "nounpp", "rc"];
/** That with integrated gradients as well, which take longer than all the rest. */
const WITH_IG = "rc";
const RUNS = join(ROOT, "runs", "study");
const RESULTS = join(ROOT, "docs", "results");
/** Figures of the page, and where in the runs' reports they come from. */
const FIGURES = {
  "gemma3-270m-truth-atp.svg": "rc/report/truth-atp.svg",
  "gemma3-270m-positions.svg": "rc/report/correlations.svg",
  "gemma3-270m-layers.svg": "rc/report/layers-site.svg",
  "gemma3-270m-circuits.svg": "rc/report/faithfulness.svg",
  "gemma3-270m-ig-positions.svg": "rc-ig/report/correlations.svg",
};
const DATA = join(ROOT, "data", "english-agreement");
const TRUTH = { positions: "all", whole_sites: { sites: ["resid_post", "mlp_out", "attn_z"], layers: "all" } };
/** Rows that choose circuits' nodes and means, that are evaluated, and that are evaluated with integrated gradients as well. */
const ROWS = { select: 160, evaluate: 256, withIg: 48 };

/** A template's rows: `limit` of its test file, held out from those of its training file. */
function dataset(template, limit) {
  return {
    select: { path: join(DATA, `${template}.train.jsonl`), limit: ROWS.select },
    evaluate: { path: join(DATA, `${template}.test.jsonl`), limit },
  };
}

/** The sweep of a template, and the one with integrated gradients. */
function sweepsOf(template) {
  const name = template.replace("_", "-");
  const scores = ["atp", "relp"].map((method) => ({ name: method, method }));
  const common = {
    model: { path: join(ROOT, ".cache", "gemma-3-270m") },
    saes: "none",
    truth: TRUTH,
    seed: 0,
    engine: { threads: 1 },
  };
  const circuits = { scores: "atp", nodes: "heads", thresholds: { log10: [-2, 0], count: 9 }, ablation: "mean" };
  return {
    all: { name, dataset: dataset(template, ROWS.evaluate), scores, circuits, ...common },
    withIg: {
      name: `${name}-ig`,
      dataset: dataset(template, ROWS.withIg),
      scores: [...scores, { name: "ig", method: "ig", steps: 4 }],
      ...common,
    },
  };
}

/** Runs a sweep; one that is finished in its folder is left as it is. The number of workers decides no bits. */
function run(sweep, backend) {
  const file = join(RUNS, `${sweep.name}.yaml`);
  writeFileSync(file, `${JSON.stringify(sweep, null, 1)}\n`);
  const patchbay = join(ROOT, "bin", "patchbay.js");
  const options = ["--out", join(RUNS, sweep.name), "--backend", backend, "--workers", String(engineCount())];
  return runStep(process.execPath, [patchbay, "run", file, ...options]);
}

async function main() {
  if (!ensureInstalled() || !runStep("npm", ["run", "--silent", "build"])) return false;
  if (!runStep(process.execPath, [join(ROOT, "bin", "patchbay.js"), "fetch", "gemma-3-270m"])) return false;
  const backend = await torchOrWasm("hours");
  mkdirSync(RUNS, { recursive: true });
  const sweeps = [...TEMPLATES.map((template) => sweepsOf(template).all), sweepsOf(WITH_IG).withIg];
  if (!sweeps.every((sweep) => run(sweep, backend))) return false;
  const { studyTables } = await import("./study-tables.js");
  const tables = join(RESULTS, "gemma3-270m-tables.md");
  writeFileSync(tables, await studyTables(sweeps.map(({ name }) => join(RUNS, name))));
  for (const [name, from] of Object.entries(FIGURES)) copyFileSync(join(RUNS, from), join(RESULTS, name));
  console.log(tables);
  return true;
}

process.exitCode = (await main()) ? 0 : 1;
