/** @file What building a native backend needs: a compiler, Node's headers, Python's packages, PyPI's wheels. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's folder. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url));

const LONGEST_MS = 1_800_000;

/** Runs a command to its end: its output, and null or the line that says what went wrong. */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: "utf8", timeout: LONGEST_MS, maxBuffer: 2 ** 26, ...options });
  if (result.error !== undefined) return { stdout: "", problem: result.error.message };
  const told = /^\w*Error: .*/m.exec(result.stderr)?.[0] ?? result.stderr.trim().split("\n").at(-1);
  const complaint = told || `exit code ${result.status}`;
  return { stdout: result.stdout, problem: result.status === 0 ? null : complaint };
}

/** Runs the compiler. Null, or what it wrote. */
export function complaintOf(compiler, args) {
  return new Promise((resolve) => {
    const child = spawn(compiler, args, { stdio: ["ignore", "inherit", "pipe"] });
    let text = "";
    child.stderr.on("data", (chunk) => (text += chunk));
    child.on("error", (error) => resolve(error.message));
    child.on("close", (code) => {
      if (code === 0 && text !== "") console.log(text);
      resolve(code === 0 ? null : `the compiler failed:\n${text.slice(0, 4000)}`);
    });
  });
}

/**
 * The C++ compiler and Node-API's headers, or what is missing for the backend `name`.
 * @returns {Promise<{ compiler?: string, headers?: string, problem?: string, missing?: boolean }>}
 */
export async function findToolchain(name) {
  const missing = true;
  if (process.platform !== "linux")
    return { missing, problem: `the ${name} backend is built on Linux only, not on ${process.platform}` };
  const compiler = process.env["CXX"] ?? "g++";
  if (run(compiler, ["--version"]).problem !== null)
    return { missing, problem: `no C++ compiler (${compiler}): apt-get install g++, or name one in CXX` };
  try {
    const { default: headers } = await import("node-api-headers");
    return { compiler, headers: headers.include_dir };
  } catch {
    return { problem: "the package node-api-headers is missing: run npm ci" };
  }
}

/** Folder of a package of the Python environment on PATH, or null. */
export function pythonPackage(name) {
  const program = `import importlib.util as u; s = u.find_spec('${name}'); print((s and s.submodule_search_locations or [''])[0])`;
  const folder = run("python3", ["-c", program]).stdout.trim();
  return folder === "" ? null : folder;
}

/** Whether an NVIDIA driver is loaded, which decides between wheels for the CPU and for the GPU. */
export function hasGpuDriver() {
  return existsSync("/proc/driver/nvidia/version") || run("nvidia-smi", ["-L"]).problem === null;
}

/**
 * Downloads wheels from PyPI and unpacks them into `folder`. Null, or what went wrong.
 * @param {string[]} specs - requirements, without what they need in turn.
 * @param {string} folder
 * @param {{ size: string, keep?: RegExp, needs?: RegExp }} options - `keep`: only files whose path matches are unpacked.
 *   `needs`: of what the first wheel says it needs, the names that match are fetched too (the libraries of a GPU).
 */
export function fetchWheels(specs, folder, options) {
  const { size, keep, needs } = options;
  const missing = missingPip();
  if (missing !== null) return missing;
  console.log(`fetching ${specs.join(", ")} from PyPI (${size})`);
  const wheels = join(folder, "wheels");
  mkdirSync(wheels, { recursive: true });
  try {
    const problem = download(specs, wheels);
    if (problem !== null) return problem;
    const wanted = needs === undefined ? [] : requirements(wheels, specs[0]).filter((line) => needs.test(line));
    if (wanted.length > 0) console.log(`and what it needs on a GPU: ${wanted.join(", ")}`);
    return (wanted.length === 0 ? null : download(wanted, wheels)) ?? unpack(wheels, folder, keep);
  } finally {
    rmSync(wheels, { recursive: true, force: true });
  }
}

/** Null, or what to do for want of pip. */
function missingPip() {
  if (run("python3", ["--version"]).problem !== null) return "no python3: apt-get install python3 python3-pip";
  return run("python3", ["-m", "pip", "--version"]).problem === null
    ? null
    : "python3 has no pip: apt-get install python3-pip";
}

function download(specs, wheels) {
  const pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check"];
  return run("python3", [...pip, "-d", wheels, ...specs]).problem;
}

/** The requirements in a wheel's METADATA, without their conditions. */
function requirements(wheels, spec) {
  const name = spec.split("==")[0].replaceAll("-", "_");
  const file = readdirSync(wheels).find((wheel) => wheel.startsWith(`${name}-`));
  const program =
    "import sys, zipfile as z; f = z.ZipFile(sys.argv[1]); print(f.read(next(n for n in f.namelist() if n.endswith('.dist-info/METADATA'))).decode())";
  const { stdout } = run("python3", ["-c", program, join(wheels, file ?? "")]);
  return [...stdout.matchAll(/^Requires-Dist: ([^;\n]+)/gm)].map(([, requirement]) => requirement.trim());
}

function unpack(wheels, folder, keep) {
  const program =
    "import re, sys, zipfile as z; f = z.ZipFile(sys.argv[1]); f.extractall(sys.argv[2], [n for n in f.namelist() if re.search(sys.argv[3], n)])";
  for (const wheel of readdirSync(wheels)) {
    const { problem } = run("python3", ["-c", program, join(wheels, wheel), folder, keep?.source ?? ""]);
    if (problem !== null) return problem;
  }
  return null;
}
