/**
 * @file Turns proto/patchbay.proto into static code: src/wire/generated (for tsc and the tests) and dist/wire/generated (for Node).
 * Does nothing when what is there was made from the same contract by the same version of the generator.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const contract = join(root, "proto", "patchbay.proto");
const folders = [join(root, "src", "wire", "generated"), join(root, "dist", "wire", "generated")];
const FLAGS = "-t static-module -w esm --es6 --force-number --no-service --no-delimited --no-verify --no-typeurl".split(
  " ",
);

const require = createRequire(import.meta.url);
const tools = dirname(require.resolve("protobufjs-cli/package.json"));
const version = JSON.parse(readFileSync(join(tools, "package.json"), "utf8")).version;
const stamp = createHash("sha256")
  .update(JSON.stringify([version, FLAGS]))
  .update(readFileSync(contract))
  .digest("hex");

const stampOf = (folder) => {
  const file = join(folder, "stamp");
  return existsSync(file) ? readFileSync(file, "utf8") : "";
};

const tool = (name, ...args) =>
  execFileSync(process.execPath, [join(tools, "bin", name), ...args], { stdio: "inherit" });

/** Writes beside the target and renames, so that a build that runs at the same time never reads half a file. */
const put = (file, text) => {
  const temporary = `${file}.${String(process.pid)}`;
  writeFileSync(temporary, text);
  renameSync(temporary, file);
};

if (folders.some((folder) => stampOf(folder) !== stamp)) {
  const scratch = join(folders[0], `.making-${String(process.pid)}`);
  mkdirSync(scratch, { recursive: true });
  try {
    const code = join(scratch, "patchbay.js");
    const declarations = join(scratch, "patchbay.d.ts");
    tool("pbjs", ...FLAGS, "-o", code, contract);
    tool("pbts", "-o", declarations, code);
    for (const folder of folders) {
      mkdirSync(folder, { recursive: true });
      put(join(folder, "patchbay.js"), readFileSync(code));
      put(join(folder, "patchbay.d.ts"), readFileSync(declarations));
      put(join(folder, "stamp"), stamp);
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
