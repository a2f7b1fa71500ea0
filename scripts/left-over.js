/**
 * @file Compiled files in dist/ whose sources are gone. They do no harm in a checkout, but a package would ship them.
 *
 * A build leaves them alone, and says that they are there: a run that was started from an earlier build may load them yet, and would
 * die in the night. `--refuse`, before a package is made, ends with 1 instead.
 */
import { existsSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const COMPILED = /\.(js|js\.map|d\.ts)$/;
const SHOWN = 5;

const [root = fileURLToPath(new URL("..", import.meta.url))] = process.argv
  .slice(2)
  .filter((arg) => arg !== "--refuse");
const found = leftOver(join(root, "dist"), join(root, "src"));
if (found.length > 0) {
  const more = found.length > SHOWN ? ` and ${String(found.length - SHOWN)} more` : "";
  console.error(
    `dist holds files that this build did not make: ${found.slice(0, SHOWN).join(", ")}${more}. ` +
      "Delete dist and build again, unless a run that was started from it still goes on.",
  );
  if (process.argv.includes("--refuse")) process.exitCode = 1;
}

/** Files below `dist`, sorted, that are neither compiled from a source nor a copy of one. */
function leftOver(dist, src) {
  return readdirSync(dist, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(dist, join(parentPath, name)))
    .filter(
      (file) =>
        !existsSync(join(src, file)) &&
        ![".ts", ".js"].some((end) => existsSync(join(src, file.replace(COMPILED, end)))),
    )
    .sort();
}
