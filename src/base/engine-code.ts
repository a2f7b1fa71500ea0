/**
 * @file The files that decide the bits of a result: every file of this build that the engine process or the reductions import, and
 * the sources of the native addon. The report, the cost model, the command line, the coordinator and training are not among them.
 *
 * 1. Begin with the two entries.
 * 2. Follow every import by a relative path, static or not. Packages are the environment's part (tfjs, Node).
 * 3. Of an experiment, its stages, checks, filters, keys, work and report are left out. What stands in one file with what computes is covered: the
 *    label of a score method, the fields beside the nodes that they name.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { sha256 } from "./hash.js";

/** What computes shards, and what makes artifacts of them. */
const ENTRIES = ["engine/engine-main.js", "artifacts/reduce-stage.js"];
/** An import that is there when the program runs: a type is none. */
const IMPORTS =
  /(?:\bimport\s+(?!type\b)[^"';]*?\bfrom\s*|\bexport\s+(?!type\b)[^"';]*?\bfrom\s*|\bimport\s*\(?\s*)"(\.{1,2}\/[^"]+)"/g;
/** An experiment's parts that plan, compare plans, price and show. What they decide of a plan is in the plan, which has a hash of its own. */
const WITHOUT_BITS = /\/experiments\/[^/]+\/(?:(?:stages|check|filter-rows|keys|work)\.[jt]s$|report\/)/;
const NATIVE_SOURCE = /\.(cc|h)$/;

/**
 * The files, sorted, with absolute paths.
 * @param root folder of the compiled files, or of their sources.
 * @param native folder of the addon's sources; it may be absent, as in a container image.
 */
export function engineCodeFiles(root: string, native: string): string[] {
  const followed = new Set<string>();
  const follow = (file: string): void => {
    if (followed.has(file) || !file.startsWith(root + sep) || WITHOUT_BITS.test(file)) return;
    followed.add(file);
    for (const [, path] of readFileSync(file, "utf8").matchAll(IMPORTS))
      if (path?.endsWith(".js") === true) follow(sourceOf(resolve(dirname(file), path)));
  };
  for (const entry of ENTRIES) follow(sourceOf(join(root, entry)));
  const sources = existsSync(native) ? readdirSync(native).filter((name) => NATIVE_SOURCE.test(name)) : [];
  return [...followed, ...sources.map((name) => join(native, name))].sort();
}

/** Tests run the TypeScript files themselves. */
function sourceOf(file: string): string {
  return existsSync(file) ? file : file.replace(/\.js$/, ".ts");
}

/** SHA-256 over the names and contents of {@link engineCodeFiles}. */
export function hashOfEngineCode(root: string, native: string): string {
  const base = dirname(root);
  const lines = engineCodeFiles(root, native).map((file) => `${relative(base, file)} ${sha256(readFileSync(file))}\n`);
  return sha256(lines.join(""));
}
