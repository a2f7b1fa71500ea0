/** @file `npm run make-data`: builds the tiny world into data/; with `-- --check` only compares the files with their list. */
import { parseArgs } from "node:util";
import { toPatchbayError } from "../../src/base/errors.js";
import { startBackend } from "../../src/backends/start-backend.js";
import { buildWorld, WORLD_FOLDERS } from "./build-world.js";
import { changedFiles, CHECKSUMS, hashFiles, readChecksums } from "./checksums.js";
import { WORLD } from "./world-settings.js";

/** Exit codes are those of the patchbay command. */
const [DONE, FAILED, BAD_INPUT] = [0, 1, 2];

const log = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { check: { type: "boolean" }, out: { type: "string", default: "data" } } });
  if (values.check === true) return check(values.out);
  await startBackend("wasm");
  const { hashes } = await buildWorld(values.out, WORLD, log);
  log(`wrote ${hashes.size} files to ${values.out}`);
  return DONE;
}

function check(folder: string): number {
  const changed = changedFiles(readChecksums(folder), hashFiles(folder, Object.values(WORLD_FOLDERS)));
  for (const path of changed) log(`${folder}/${path}: differs from ${CHECKSUMS}`);
  if (changed.length === 0) log(`${folder}: every file is as ${CHECKSUMS} says`);
  return changed.length === 0 ? DONE : FAILED;
}

try {
  process.exitCode = await main();
} catch (thrown) {
  const error = toPatchbayError(thrown);
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error.code === "bad_input" ? BAD_INPUT : FAILED;
}
