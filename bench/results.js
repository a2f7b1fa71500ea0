/** @file What machine a bench runs on, and where its figures go. */
import { mkdirSync, writeFileSync } from "node:fs";
import { arch, availableParallelism, cpus, loadavg, platform, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { round } from "./figures.js";

/** `--results`: the folder that figures are written to. The default is not in git; kept figures are in folders by machine. */
export const RESULTS_OPTION = /** @type {const} */ ({
  type: "string",
  multiple: false,
  default: fileURLToPath(new URL("results/here", import.meta.url)),
});

/** The machine as it is now. */
export function machineFacts() {
  return {
    processor: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    memory_gib: round(totalmem() / 2 ** 30),
    platform: `${platform()}-${arch()}`,
    node: process.version,
    load: loadavg().map(round),
  };
}

/** Writes figures as NAME.json, and says where. */
export function writeResults(folder, name, results) {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${name}.json`);
  writeFileSync(file, `${JSON.stringify(results, null, 1)}\n`);
  console.log(`written to ${file}`);
}
