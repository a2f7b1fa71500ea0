// `npm run bench`: rates of the engine's programs and of shard dispatch, written to bench/results/<name>.json.
// Machines are shared and noisy: each rate is the median of several shards, beside the matrix-product rate measured in the same run.
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { arch, cpus, platform, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { dispatchBench } from "./dispatch-bench.js";
import { engineBench } from "./engine-bench.js";

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    name: { type: "string", default: "wasm-tiny" },
    repeats: { type: "string", default: "5" },
  },
});
if (![undefined, "engine", "dispatch"].includes(values.only)) {
  console.error(`expected --only engine|dispatch, got ${values.only}`);
  process.exit(2);
}

const machine = {
  processor: cpus()[0]?.model ?? "unknown",
  cores: cpus().length,
  memory_gib: Math.round(totalmem() / 2 ** 30),
  platform: `${platform()}-${arch()}`,
  node: process.version,
};
const scratch = mkdtempSync(join(tmpdir(), "patchbay-bench-"));
const results = { machine, command: `npm run bench -- ${process.argv.slice(2).join(" ")}`.trim() };
if (values.only !== "dispatch") results.engine = await engineBench(scratch, Number(values.repeats));
if (values.only !== "engine") results.dispatch = await dispatchBench(scratch);

const folder = fileURLToPath(new URL("results", import.meta.url));
mkdirSync(folder, { recursive: true });
const file = join(folder, `${values.name}.json`);
writeFileSync(file, `${JSON.stringify(results, null, 1)}\n`);
console.log(JSON.stringify(results, null, 1));
console.log(`written to ${file}`);
