/**
 * @file `npm run build:native` and `patchbay doctor --build torch`: compile native/ against a libtorch found on this machine, to
 * native/build/patchbay-torch.node, or into the folder `--into` names: a process uses the addon in PATCHBAY_TORCH_ADDON instead.
 *
 * libtorch is the one in `--from FOLDER` or PATCHBAY_TORCH, or PyPI's wheel, which `--fetch` puts into .cache/torch. Without those
 * it is the last build's, else (and with `--force`) looked for in the Python environment on PATH, among Debian's packages and in
 * .cache/torch. Every miss says what to do. Nothing is built that is up to date.
 *
 * `--any-processor --into FOLDER` builds the loops that any processor runs and no others. `PATCHBAY_TORCH_ADDON=FOLDER/patchbay-torch.node
 * npx vitest run --project numeric-torch` tests them.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { complaintOf, fetchWheels, findToolchain, hasGpuDriver, pythonPackage, ROOT, run } from "./native-toolchain.js";

const SOURCES = join(ROOT, "native");
const BUILD = join(SOURCES, "build");
/** Where the addon on PyPI's libtorch is put for tests, beside one on another. */
export const PYPI_BUILD = join(SOURCES, "build-pypi");
const FETCHED = join(ROOT, ".cache", "torch");
const TORCH = "torch==2.11.0";
/** What the wheel's CPU library is linked against, besides itself. */
const CPU_NEEDS = ["nvidia-cuda-runtime==13.0.*", "nvidia-cuda-cupti==13.0.*"];
const DEBIAN = "apt-get install --no-install-recommends libtorch-dev libopenblas0-openmp";
const NO_TORCH = `no libtorch: --from and PATCHBAY_TORCH name none, and neither the Python on PATH nor Debian has one. Do one of: ${DEBIAN}; pip install torch; the same command with --fetch (0.5 GB from PyPI)`;

/**
 * Builds the addon unless it is up to date. Prints what it does. `missing`: this machine lacks what a build needs.
 * @param {{ from?: string, fetch?: boolean, orFetch?: boolean, force?: boolean, into?: string, anyProcessor?: boolean }} [options] - `from`: libtorch's
 *   folder; `fetch`: take PyPI's wheel, whatever else is here; `orFetch`: where nothing else is here; `force`: look and build again; `into`: the folder that the addon is put in; `anyProcessor`: without loops
 *   for the processors that have more instructions.
 * @returns {Promise<{ path?: string, problem?: string, missing?: boolean }>}
 */
export async function buildNative(options = {}) {
  const { from, fetch = false, orFetch = false, force = false, into = BUILD, anyProcessor = false } = options;
  const addon = join(into, "patchbay-torch.node");
  const recordFile = join(into, "build.json");
  const tools = await findToolchain("torch");
  if (tools.problem !== undefined) return tools;
  const before = !force && existsSync(addon) && existsSync(recordFile) ? readFileSync(recordFile, "utf8") : null;
  let found = findTorch(from, fetch, before);
  if (found === null) found = orFetch ? fetchTorch() : { problem: NO_TORCH };
  if ("problem" in found) return { missing: true, ...found };
  const sources = hashOfSources();
  const record = JSON.stringify({ sources, torch: found, anyProcessor });
  if (record === before) return { path: addon };
  console.log(`libtorch: ${found.origin}`);
  const problem = (await compile(tools, { ...found, anyProcessor, sources }, into, addon)) ?? check(addon);
  if (problem !== null) return { problem };
  writeFileSync(recordFile, record);
  return { path: addon };
}

/** Whether the addon in native/build is on PyPI's libtorch, which the numeric suites then need not run on again. */
export function isOnPypi() {
  const file = join(BUILD, "build.json");
  const torch = existsSync(file) ? fromRecord(readFileSync(file, "utf8")) : null;
  return torch !== null && torch.include.startsWith(FETCHED);
}

/** What the addon is built from: `sources()` of an addon that was built from other sources differs. */
export function hashOfSources() {
  const hash = createHash("sha256");
  for (const name of sourceFiles()) hash.update(name).update(readFileSync(join(SOURCES, name)));
  return hash.digest("hex").slice(0, 16);
}

function sourceFiles() {
  return readdirSync(SOURCES)
    .filter((name) => /\.(cc|h)$/.test(name))
    .sort();
}

/**
 * Where libtorch's headers and libraries lie, or what is wrong with the one that was named; null where there is none.
 * @param {string | null} before - the last build's record.
 */
function findTorch(from, fetch, before) {
  const named = from ?? process.env["PATCHBAY_TORCH"];
  if (named !== undefined && named !== "") {
    const folder = asTorchFolder(named, `the folder ${named}`);
    return folder ?? { problem: `${named}: expected a folder that holds include/ATen and lib/libtorch_cpu.so` };
  }
  if (fetch) return fetchTorch();
  return fromRecord(before) ?? fromPython() ?? fromDebian() ?? fetched();
}

const holdsTorch = (include, lib) =>
  existsSync(join(include, "ATen", "ATen.h")) && existsSync(join(lib, "libtorch_cpu.so"));

function fromRecord(record) {
  const torch = record === null ? undefined : JSON.parse(record).torch;
  return torch !== undefined && holdsTorch(torch.include ?? "", torch.lib ?? "") ? torch : null;
}

function asTorchFolder(folder, origin) {
  const [include, lib] = [join(folder, "include"), join(folder, "lib")];
  if (!holdsTorch(include, lib)) return null;
  return { origin, include, lib, abi: abiOf(folder) };
}

/** libtorch's C++ string layout: `_GLIBCXX_USE_CXX11_ABI`, 1 unless its own CMake file says otherwise. */
function abiOf(folder) {
  const cmake = join(folder, "share", "cmake", "Torch", "TorchConfig.cmake");
  if (!existsSync(cmake)) return "1";
  return /_GLIBCXX_USE_CXX11_ABI=([01])/.exec(readFileSync(cmake, "utf8"))?.[1] ?? "1";
}

function fromPython() {
  const folder = pythonPackage("torch");
  return folder === null ? null : asTorchFolder(folder, `torch of the Python environment (${folder})`);
}

function fromDebian() {
  const include = "/usr/include";
  const triplet = run(process.env["CXX"] ?? "g++", ["-dumpmachine"]).stdout.trim();
  const lib = join("/usr/lib", triplet.replace("-pc-", "-"));
  if (!holdsTorch(include, lib)) return null;
  return { origin: "Debian's libtorch-dev", include, lib, abi: "1" };
}

const fetched = () => asTorchFolder(join(FETCHED, "torch"), "PyPI's wheel in .cache/torch");

function fetchTorch() {
  const present = fetched();
  if (present !== null) return present;
  const gpu = hasGpuDriver();
  console.log(gpu ? "an NVIDIA driver is loaded: CUDA's libraries too" : "no NVIDIA driver: for the CPU");
  const size = gpu ? "about 3 GB" : "0.5 GB";
  const problem = fetchWheels(gpu ? [TORCH] : [TORCH, ...CPU_NEEDS], FETCHED, {
    size,
    ...(gpu && { needs: /^(nvidia-|cuda-toolkit)/ }),
  });
  if (problem !== null) return { problem: `libtorch could not be fetched from PyPI: ${problem}` };
  return fetched() ?? { problem: "PyPI's wheel holds no libtorch" };
}

/**
 * Compiles every source into a folder, two at a time, and links them. Null, or the compiler's complaint.
 * @param {{ compiler?: string, headers?: string }} tools
 */
async function compile(tools, { include, lib, abi, anyProcessor, sources }, into, addon) {
  const { compiler, headers } = tools;
  mkdirSync(into, { recursive: true });
  const includes = [headers, include, join(include, "torch", "csrc", "api", "include")];
  const defines = [
    `-D_GLIBCXX_USE_CXX11_ABI=${abi}`,
    `-DPATCHBAY_SOURCES="${sources}"`,
    ...(anyProcessor ? ["-DPATCHBAY_ANY_PROCESSOR"] : []),
  ];
  const flags = ["-std=c++17", "-O2", "-fPIC", "-fvisibility=hidden", "-fopenmp", ...defines];
  const units = sourceFiles().filter((name) => name.endsWith(".cc"));
  const objects = units.map((name) => join(into, name.replace(/cc$/, "o")));
  const waiting = units.map((name, i) => [
    ...flags,
    // As a system folder: libtorch's own warnings are not ours.
    ...includes.flatMap((folder) => (folder === "/usr/include" ? [] : ["-isystem", folder])),
    ...["-Wall", "-Wextra", "-c", join(SOURCES, name), "-o", objects[i]],
  ]);
  let complaint = null;
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined && complaint === null; next = waiting.shift()) {
      const said = await complaintOf(compiler, next);
      complaint ??= said; // The other worker may have got one meanwhile.
    }
  };
  await Promise.all([worker(), worker()]);
  if (complaint !== null) return complaint;
  const aside = `${addon}.${process.pid}`;
  // One OpenMP runtime for both: a wheel brings its own.
  const ownOpenMp = readdirSync(lib).find((name) => name.startsWith("libgomp"));
  const openMp = ownOpenMp === undefined || lib.startsWith("/usr/") ? "-fopenmp" : join(lib, ownOpenMp);
  const libraries = [`-L${lib}`, "-ltorch_cpu", "-lc10", `-Wl,-rpath,${lib}`, "-Wl,--disable-new-dtags"];
  const linked = await complaintOf(compiler, ["-shared", ...objects, "-o", aside, openMp, ...libraries]);
  if (linked === null) renameSync(aside, addon);
  return linked;
}

/** Loads what was built, in a process of its own. Null, or why it does not load. */
function check(addon) {
  const program = `const t = require(${JSON.stringify(addon)}); console.log(t.version())`;
  const { stdout, problem } = run(process.execPath, ["-e", program]);
  if (problem !== null) return `the addon was built but does not load: ${problem}`;
  console.log(`built ${relative(ROOT, addon)} on libtorch ${stdout.trim()}`);
  return null;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      from: { type: "string" },
      fetch: { type: "boolean" },
      force: { type: "boolean" },
      into: { type: "string" },
      "any-processor": { type: "boolean" },
    },
  });
  const { "any-processor": anyProcessor, into, ...options } = values;
  const { path, problem } = await buildNative({ ...options, anyProcessor, into: into && resolve(into) });
  console.log(path === undefined ? `torch is not built: ${problem}` : `torch is ready: ${path}`);
  process.exitCode = path === undefined ? 1 : 0;
}
