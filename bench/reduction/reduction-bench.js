/**
 * @file Time and memory of reducing the truth of many prompts and nodes: `node bench/reduction/reduction-bench.js --prompts 2000`.
 *
 * Writes random records as engines write them, then reduces them in a process of its own: seconds by part, processor seconds, and the
 * most memory that the process held. `--against DIST` reduces the same records with another build too, and compares what they write.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { makeRun } from "./make-run.js";

const { values: flags } = parseArgs({
  options: {
    prompts: { type: "string", default: "2000" },
    nodes: { type: "string", default: "2000" },
    scores: { type: "string", default: "1" },
    clusters: { type: "string" },
    folder: { type: "string" },
    against: { type: "string" },
    keep: { type: "boolean", default: false },
  },
});
const OURS = fileURLToPath(new URL("../../dist", import.meta.url));
const REDUCE = fileURLToPath(new URL("reduce-run.js", import.meta.url));
const WRITTEN = ["truth.parquet", "validation.parquet", "validation.json"];

const scratch = flags.folder ?? mkdtempSync(join(tmpdir(), "patchbay-reduction-"));
try {
  if (!existsSync(join(scratch, "run.json"))) {
    const sizes = { prompts: Number(flags.prompts), nodes: Number(flags.nodes), scores: Number(flags.scores) };
    await makeRun(scratch, { ...sizes, ...(flags.clusters === undefined ? {} : { clusters: Number(flags.clusters) }) });
  }
  const before = flags.against === undefined ? null : reduce("against", resolve(flags.against));
  const after = reduce("this build", OURS);
  if (before !== null)
    for (const name of WRITTEN) console.log(`${before[name].equals(after[name]) ? "same" : "differs"}  ${name}`);
} finally {
  if (!flags.keep) rmSync(scratch, { recursive: true, force: true });
}

/** Prints what a reduction took. @returns the hashes of what it wrote. */
function reduce(label, dist) {
  for (const name of WRITTEN) rmSync(join(scratch, "artifacts", name), { force: true });
  const text = execFileSync(process.execPath, [REDUCE, dist, scratch, "validation"], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }); // prettier-ignore
  const { seconds, processor_seconds: processor, peak_mib: peak, parts } = JSON.parse(text);
  console.log(
    `${label}: ${seconds.toFixed(1)} s, ${processor.toFixed(1)} processor seconds, peak ${peak.toFixed(0)} MiB`,
  );
  for (const [name, duration] of Object.entries(parts)) console.log(`  ${name}: ${duration.toFixed(1)} s`);
  const sums = readFileSync(join(scratch, "SHA256SUMS"), "utf8").split("\n");
  return Object.fromEntries(
    WRITTEN.map((name) => {
      console.log(`  ${name}: ${(statSync(join(scratch, "artifacts", name)).size / 2 ** 20).toFixed(1)} MiB`);
      return [name, Buffer.from(sums.find((line) => line.endsWith(`/${name}`)) ?? "")];
    }),
  );
}
