/**
 * @file `npm run bench`: rates of the engine's programs and of shard dispatch, written to NAME.json.
 * Machines are shared and noisy: each rate is the median of several shards, beside the matrix-product rate measured in the same run.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { oneOf } from "./bench-run.js";
import { dispatchBench } from "./cluster/dispatch-bench.js";
import { engineBench } from "./engine/engine-bench.js";
import { machineFacts, RESULTS_OPTION, writeResults } from "./results.js";

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    name: { type: "string", default: "wasm-tiny" },
    repeats: { type: "string", default: "5" },
    shards: { type: "string", default: "4000" },
    results: RESULTS_OPTION,
  },
});
if (values.only !== undefined) oneOf("--only", ["engine", "dispatch"], values.only);

const scratch = mkdtempSync(join(tmpdir(), "patchbay-bench-"));
const { only, repeats, shards } = values;
try {
  const results = {
    machine: machineFacts(),
    command: `npm run bench -- ${process.argv.slice(2).join(" ")}`.trim(),
    ...(only !== "dispatch" && { engine: await engineBench(scratch, Number(repeats)) }),
    ...(only !== "engine" && { dispatch: await dispatchBench(scratch, { shards: Number(shards) }) }),
  };
  console.log(JSON.stringify(results, null, 1));
  writeResults(values.results, values.name, results);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
