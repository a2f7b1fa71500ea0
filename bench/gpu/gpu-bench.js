/**
 * @file `npm run bench:gpu`: builds the addon against the torch of the Python environment on PATH, runs the numeric suites on the GPU in
 * float32 (TF32 off, then allowed) and bfloat16, then measures the engine at 2b shape with random weights in each. The results go to
 * NAME.json. `--device cpu` tries the same steps without a GPU; `--size medium` is a smaller model.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { probeTorch } from "../../dist/backends/torch-probe.js";
import { buildNative } from "../../scripts/build-native.js";
import { pythonPackage } from "../../scripts/native-toolchain.js";
import { ensureCheckpoint } from "../engine/engine-tasks.js";
import { machineFacts, RESULTS_OPTION, writeResults } from "../results.js";

const { values: flags } = parseArgs({
  options: {
    device: { type: "string", default: "cuda" },
    size: { type: "string", default: "2b-slice" },
    folder: { type: "string" },
    repeats: { type: "string", default: "3" },
    "without-tests": { type: "boolean", default: false },
    name: { type: "string" },
    results: RESULTS_OPTION,
  },
});

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const OWN = ["numeric-torch/bfloat16", "numeric-torch/tf32"];
/** Name, compute type, TF32, and the test files; in float32 all of them. */
const MODES = [
  { name: "float32", dtype: "float32", tf32: "0", tests: [] },
  { name: "float32, TF32 allowed", dtype: "float32", tf32: "1", tests: OWN, gpuOnly: true },
  { name: "bfloat16", dtype: "bfloat16", tf32: "0", tests: OWN },
];

const scratch = mkdtempSync(join(tmpdir(), "patchbay-gpu-"));
try {
  process.exitCode = await main();
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

async function main() {
  const torch = pythonPackage("torch");
  if (torch === null && flags.device !== "cpu")
    return refuse("the python3 on PATH has no torch; install one with CUDA");
  const built = await buildNative(torch === null ? {} : { from: torch });
  if (built.path === undefined) return refuse(built.problem);
  process.env["PATCHBAY_TORCH_DEVICE"] = flags.device;
  const probe = probeTorch();
  if (probe.device === undefined) return refuse(probe.problem);
  console.log(`device: ${probe.device}`);
  const folder = flags.folder ?? join(scratch, flags.size);
  await ensureCheckpoint(flags.size, folder);
  const modes = {};
  for (const mode of MODES.filter(({ gpuOnly }) => gpuOnly !== true || flags.device === "cuda")) {
    const env = { ...process.env, PATCHBAY_TORCH_TF32: mode.tf32, OMP_WAIT_POLICY: "passive" };
    const tests = flags["without-tests"] ? null : runTests(mode.tests, env);
    modes[mode.name] = { tests, ...measure(mode.dtype, folder, env) };
    console.log(mode.name, JSON.stringify(modes[mode.name], null, 1));
  }
  const command = `npm run bench:gpu -- ${process.argv.slice(2).join(" ")}`.trim();
  const results = { machine: machineFacts(), command, device: probe.device, size: flags.size, modes };
  writeResults(flags.results, flags.name ?? `bench-${flags.device}-${flags.size}`, results);
  return Object.values(modes).some(({ tests, failed }) => (tests?.failed ?? 0) > 0 || failed !== undefined) ? 1 : 0;
}

function refuse(problem) {
  console.error(`bench:gpu: ${problem}`);
  return 1;
}

/** Numbers of tests that passed and failed, and the titles of those that failed. */
function runTests(files, env) {
  const report = join(scratch, "tests.json");
  const vitest = join(ROOT, "node_modules", "vitest", "vitest.mjs");
  const args = [vitest, "run", "--project", "numeric-torch", "--reporter=json", `--outputFile=${report}`, ...files];
  spawnSync(process.execPath, args, { cwd: ROOT, env, stdio: ["ignore", "ignore", "inherit"] });
  const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(report, "utf8"));
  const titles = testResults.flatMap(({ assertionResults }) =>
    assertionResults.filter(({ status }) => status === "failed").map(({ fullName }) => fullName),
  );
  return { passed: numPassedTests, failed: numFailedTests, titles };
}

/** What the mode's process prints last, or why it failed: out of memory, for instance. */
function measure(dtype, folder, env) {
  const script = fileURLToPath(new URL("./gpu-mode.js", import.meta.url));
  const args = [script, "--size", flags.size, "--folder", folder, "--dtype", dtype, "--repeats", flags.repeats];
  const threads = { OMP_NUM_THREADS: String(availableParallelism()), ...env };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", env: threads });
  if (status !== 0) return { failed: stderr.trim().slice(-2000) };
  return JSON.parse(stdout.trim().split("\n").at(-1));
}
