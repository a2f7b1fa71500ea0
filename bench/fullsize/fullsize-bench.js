/**
 * @file `npm run bench:fullsize`: random checkpoints and SAEs with the exact shapes of Gemma-2 2b and 9b are written, one after the other,
 * and each is run by a process of its own under a memory budget: AtP, the truth of error nodes, at 2b circuits too. Figures go to
 * fullsize-SHAPE.{json,md}. What is written (28 GB at most at one time) is removed at the end, on failure and on Ctrl-C.
 * `-- --shape 2b` runs one; `--memory-mib`, `--dtype`, `--threads`, `--prompts`, `--folder` (where to write), `--results` and `--name` (of the figures).
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { round } from "../figures.js";
import { machineFacts, RESULTS_OPTION, writeResults } from "../results.js";
import { fullSizeBytes, SHAPES, writeFullSize } from "./full-checkpoint.js";
import { fullSizeReport } from "./fullsize-report.js";

const { values: flags } = parseArgs({
  options: {
    shape: { type: "string", multiple: true, default: ["2b", "9b"] },
    backend: { type: "string", default: "torch" },
    dtype: { type: "string", default: "float32" },
    threads: { type: "string", default: String(availableParallelism()) },
    "memory-mib": { type: "string" },
    prompts: { type: "string", default: "4" },
    folder: { type: "string", default: tmpdir() },
    name: { type: "string" },
    results: RESULTS_OPTION,
  },
});
/** Memory of the engine by shape; weights may take 60 % of it. */
const MEMORY_MIB = { "2b": 16_000, "9b": 10_000, tiny: 4 };
const ROOM = 1e9;
const RUN = fileURLToPath(new URL("./fullsize-run.js", import.meta.url));

mkdirSync(flags.folder, { recursive: true });
const scratch = mkdtempSync(join(flags.folder, "patchbay-fullsize-"));
const clean = () => rmSync(scratch, { recursive: true, force: true });
let child;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
  process.on(signal, () => {
    child?.kill("SIGKILL");
    clean();
    process.exit(130);
  });
try {
  for (const shape of flags.shape) await measure(shape);
} catch (error) {
  console.error(`bench:fullsize: ${error.message}`);
  process.exitCode = 1;
} finally {
  clean();
}

async function measure(shape) {
  if (!(shape in SHAPES)) throw new Error(`expected --shape ${Object.keys(SHAPES).join("|")}, got ${shape}`);
  const needed = fullSizeBytes(shape) + ROOM;
  const { bavail, bsize } = statfsSync(scratch);
  if (bavail * bsize < needed)
    throw new Error(
      `${shape} needs ${gb(needed)} GB of disk in ${flags.folder}, ${gb(bavail * bsize)} are free; choose another folder with --folder`,
    );
  const folder = join(scratch, shape);
  const began = performance.now();
  console.log(`${shape}: writing ${gb(needed - ROOM)} GB to ${folder}`);
  const bytes = writeFullSize(shape, folder);
  const writeSeconds = (performance.now() - began) / 1000;
  const memoryMib = Number(flags["memory-mib"] ?? MEMORY_MIB[shape]);
  const { steps, memory } = await run(shape, folder, memoryMib);
  rmSync(folder, { recursive: true, force: true });
  const results = {
    command: ["npm run bench:fullsize -- --shape", shape, "--memory-mib", memoryMib, "--dtype", flags.dtype].join(" "),
    machine: machineFacts(),
    shape: { name: shape, ...SHAPES[shape] },
    backend: flags.backend,
    dtype: flags.dtype,
    threads: Number(flags.threads),
    prompts: Number(flags.prompts),
    memory_mib: memoryMib,
    written: { ...bytes, seconds: round(writeSeconds) },
    memory,
    ...steps,
  };
  const name = flags.name ?? `fullsize-${shape}`;
  writeResults(flags.results, name, results);
  const report = fullSizeReport(results);
  writeFileSync(join(flags.results, `${name}.md`), report);
  console.log(report);
}

/** Runs the measuring process. @returns its steps, and the most memory that was seen in use meanwhile. */
async function run(shape, folder, memoryMib) {
  const args = ["folder", "backend", "dtype", "threads", "prompts"].flatMap((name) => [
    `--${name}`,
    name === "folder" ? folder : flags[name],
  ]);
  if (shape !== "9b") args.push("--circuits");
  const env = { ...process.env, OMP_NUM_THREADS: flags.threads, OMP_WAIT_POLICY: "passive" };
  child = spawn(process.execPath, [RUN, ...args, "--memory-mib", String(memoryMib)], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const memory = { peak_anonymous_bytes: 0, peak_mapped_bytes: 0 };
  const timer = setInterval(() => sample(child.pid, memory), 100);
  const lines = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    console.log(line);
    lines.push(JSON.parse(line));
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  clearInterval(timer);
  child = undefined;
  if (code !== 0) throw new Error(`${shape}: the measuring process ended with ${String(code)}`);
  const { step: _, peak_tensor_bytes: peakTensor, ...rest } = lines.pop();
  return { steps: { ...rest, steps: lines }, memory: { ...memory, peak_tensor_bytes: peakTensor } };
}

/** Memory of its own, and pages of files that are mapped. Linux only. */
function sample(pid, memory) {
  let status;
  try {
    status = readFileSync(`/proc/${String(pid)}/status`, "utf8");
  } catch {
    return; // It has just ended.
  }
  const kib = (field) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0);
  memory.peak_anonymous_bytes = Math.max(memory.peak_anonymous_bytes, 1024 * kib("RssAnon"));
  memory.peak_mapped_bytes = Math.max(memory.peak_mapped_bytes, 1024 * kib("RssFile"));
}

function gb(bytes) {
  return round(bytes / 1e9);
}
