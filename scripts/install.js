/** @file Installs the packages of package-lock.json where node_modules does not hold them already, and runs npm scripts. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The repository's folder. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Runs a command in the repository with its output shown; true when it succeeds. */
export function runStep(command, args, env = {}) {
  const result = spawnSync(command, args, { cwd: ROOT, stdio: "inherit", env: { ...process.env, ...env } });
  if (result.error !== undefined) console.error(`${command}: ${result.error.message}`);
  return result.status === 0;
}

/** Runs `npm ci` unless node_modules is complete; true when the packages are there. */
export function ensureInstalled() {
  if (isInstalled()) return true;
  console.log("Installing packages (npm ci)");
  return runStep("npm", ["ci", "--include=dev", "--no-audit", "--no-fund"]);
}

/** Whether npm's own record of node_modules agrees with the lock file. */
function isInstalled() {
  const wanted = readPackages("package-lock.json");
  const present = readPackages("node_modules/.package-lock.json");
  if (wanted === null || present === null) return false;
  return Object.entries(wanted).every(
    ([path, { version, optional }]) => path === "" || optional === true || present[path]?.version === version,
  );
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(`${ROOT}${file}`, "utf8")).packages;
  } catch {
    return null;
  }
}
