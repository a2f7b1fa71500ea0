/**
 * @file The files that decide the bits of a result: every file of this build that the engine process or the reductions import, and
 * the sources of the native addon. The report, the cost model, the command line, the coordinator and training are not among them.
 *
 * 1. Begin with the two entries.
 * 2. Follow every import by a relative path, static or not. Packages are the environment's part (tfjs, Node).
 * 3. Of an experiment's index.ts, which lists its parts, follow only what it loads to run a shard or a reduction. The list itself, the
 *    experiment's fields and stages (they are in the plan, which has a hash of its own), its cost and its report are left out.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { sha256 } from "./hash.js";

/** What computes shards, and what makes artifacts of them. */
const ENTRIES = ["engine/engine-main.js", "artifacts/reduce-stage.js"];
const IMPORTS = /(?:\bfrom\s*|\bimport\s*\(?\s*)"(\.{1,2}\/[^"]+)"/g;
/** What an experiment loads when a shard or a reduction runs; the report is loaded in the same way. */
const LOADED = /\bimport\("(\.{1,2}\/(?!report\/)[^"]+)"\)/g;
const INDEX_OF_EXPERIMENT = /\/experiments\/[^/]+\/index\.[jt]s$/;
const NATIVE_SOURCE = /\.(cc|h)$/;

/**
 * The files, sorted, with absolute paths.
 * @param root folder of the compiled files, or of their sources.
 * @param native folder of the addon's sources; it may be absent, as in a container image.
 */
export function engineCodeFiles(root: string, native: string): string[] {
  const followed = new Set<string>();
  const follow = (file: string): void => {
    if (followed.has(file) || !file.startsWith(root + sep)) return;
    followed.add(file);
    const imports = INDEX_OF_EXPERIMENT.test(file) ? LOADED : IMPORTS;
    for (const [, path] of readFileSync(file, "utf8").matchAll(imports))
      if (path?.endsWith(".js") === true) follow(sourceOf(resolve(dirname(file), path)));
  };
  for (const entry of ENTRIES) follow(sourceOf(join(root, entry)));
  const sources = existsSync(native) ? readdirSync(native).filter((name) => NATIVE_SOURCE.test(name)) : [];
  const found = [...followed].filter((file) => !INDEX_OF_EXPERIMENT.test(file));
  return [...found, ...sources.map((name) => join(native, name))].sort();
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
