/**
 * @file `patchbay doctor --build tensorflow`: the unmodified package @tensorflow/tfjs-node-gpu on a current TensorFlow.
 *
 * 1. npm puts the package into .cache/tensorflow, without its installer, which would download a TensorFlow of 2022.
 * 2. It gets this project's own copy of tfjs-core, so that both speak of the same tensors.
 * 3. TensorFlow's libraries and C headers come from `--from FOLDER` or PATCHBAY_TENSORFLOW, from the Python environment on PATH,
 *    or from PyPI's wheel: the one for GPUs where an NVIDIA driver is loaded, the one for CPUs elsewhere.
 * 4. The package's binding is compiled against them, to where the package looks for it.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { complaintOf, fetchWheels, findToolchain, hasGpuDriver, pythonPackage, ROOT, run } from "./native-toolchain.js";

const FOLDER = join(ROOT, ".cache", "tensorflow");
const PACKAGE = join(FOLDER, "node_modules", "@tensorflow", "tfjs-node-gpu");
const BINDING = join(PACKAGE, "lib", "napi-v8", "tfjs_binding.node");
const RECORD = join(FOLDER, "build.json");
const NPM_PACKAGE = "@tensorflow/tfjs-node-gpu@4.22.0";
const VERSION = "2.21.0";
const LIBRARIES = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"];
/** Of a wheel of hundreds of MB: the libraries, the C headers, and CUDA's libraries. */
const KEEP =
  /^tensorflow\/lib\w+\.so\.2$|^tensorflow\/include\/(tensorflow\/c\/|xla\/tsl\/c\/|(tensorflow\/core|tsl)\/platform\/ctstring)|^nvidia\//;

/**
 * Makes the backend ready unless it is. Prints what it does. `missing`: this machine lacks what a build needs.
 * @param {{ from?: string, fetch?: boolean, force?: boolean }} [options] - `from`: folder of the Python package tensorflow;
 *   `fetch`: take PyPI's wheel, whatever else is here; `force`: build again.
 * @returns {Promise<{ path?: string, problem?: string, missing?: boolean }>}
 */
export async function buildTensorflow({ from, fetch = false, force = false } = {}) {
  const tools = await findToolchain("tensorflow");
  if (tools.problem !== undefined) return tools;
  const found = findTensorflow(from, fetch);
  if (found.problem !== undefined) return { missing: true, problem: found.problem };
  const record = JSON.stringify({ package: NPM_PACKAGE, tensorflow: found.folder, origin: found.origin });
  if (!force && existsSync(BINDING) && existsSync(RECORD) && readFileSync(RECORD, "utf8") === record)
    return { path: PACKAGE };
  console.log(`TensorFlow: ${found.origin}`);
  const problem = installPackage() ?? (await compile(tools, found.folder)) ?? check();
  if (problem !== null) return { problem };
  writeFileSync(RECORD, record);
  return { path: PACKAGE };
}

/** Folder of the Python package tensorflow, or why there is none. */
function findTensorflow(from, fetch) {
  const named = from ?? process.env["PATCHBAY_TENSORFLOW"];
  if (named !== undefined && named !== "") {
    if (isComplete(named)) return { folder: named, origin: `the folder ${named}` };
    const expected = `${LIBRARIES.join(", ")} and include/tensorflow/c`;
    return { problem: `${named}: expected the folder of the Python package tensorflow, which holds ${expected}` };
  }
  const installed = fetch ? null : pythonPackage("tensorflow");
  if (installed !== null && isComplete(installed))
    return { folder: installed, origin: `tensorflow of the Python environment (${installed})` };
  return fetchTensorflow();
}

function isComplete(folder) {
  const wanted = [...LIBRARIES, join("include", "tensorflow", "c", "c_api.h")];
  return wanted.every((name) => existsSync(join(folder, name)));
}

function fetchTensorflow() {
  const folder = join(FOLDER, "tensorflow");
  const origin = "PyPI's wheel in .cache/tensorflow";
  if (isComplete(folder)) return { folder, origin };
  const gpu = hasGpuDriver();
  console.log(gpu ? "an NVIDIA driver is loaded: the wheel for GPUs" : "no NVIDIA driver: the wheel for CPUs");
  const problem = gpu
    ? fetchWheels([`tensorflow==${VERSION}`], FOLDER, { size: "about 3 GB", keep: KEEP, needs: /^nvidia-/ })
    : fetchWheels([`tensorflow-cpu==${VERSION}`], FOLDER, { size: "0.3 GB", keep: KEEP });
  if (problem !== null)
    return { problem: `TensorFlow could not be fetched from PyPI: ${problem}. With one at hand: --from FOLDER` };
  return isComplete(folder) ? { folder, origin } : { problem: "PyPI's wheel holds no C library of TensorFlow" };
}

/** Null, or why npm could not install the package. */
function installPackage() {
  if (!existsSync(join(PACKAGE, "binding", "tfjs_backend.cc"))) {
    mkdirSync(FOLDER, { recursive: true });
    console.log(`installing ${NPM_PACKAGE} into .cache/tensorflow`);
    const options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--prefix", FOLDER];
    const { problem } = run("npm", ["install", ...options, NPM_PACKAGE], { cwd: FOLDER });
    if (problem !== null) return `npm could not install ${NPM_PACKAGE}: ${problem}`;
  }
  for (const name of ["tfjs-core", "tfjs-backend-cpu"]) {
    const own = ownPackage(`@tensorflow/${name}`);
    if (own === null) continue;
    const theirs = join(FOLDER, "node_modules", "@tensorflow", name);
    rmSync(theirs, { recursive: true, force: true });
    symlinkSync(own, theirs);
  }
  return null;
}

/** The folder of a package that this one imports, beside it where npm has installed this one; null where there is none. */
function ownPackage(name) {
  try {
    return dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
  } catch {
    return null;
  }
}

/**
 * Null, or the compiler's complaint.
 * @param {{ compiler?: string, headers?: string }} tools
 */
async function compile(tools, folder) {
  const { compiler, headers } = tools;
  mkdirSync(join(BINDING, ".."), { recursive: true });
  const flags = ["-std=c++17", "-O2", "-fPIC", "-shared", "-w", "-DNAPI_VERSION=8", "-DBUILDING_NODE_EXTENSION"];
  const includes = [headers, join(folder, "include"), PACKAGE].map((path) => `-I${path}`);
  const sources = ["tfjs_backend.cc", "tfjs_binding.cc"].map((name) => join(PACKAGE, "binding", name));
  const libraries = LIBRARIES.map((name) => join(folder, name));
  const aside = `${BINDING}.${process.pid}`;
  const linking = ["-o", aside, "-Wl,--allow-shlib-undefined", ...libraries, `-Wl,-rpath,${folder}`];
  const complaint = await complaintOf(compiler, [...flags, ...includes, ...sources, ...linking]);
  if (complaint === null) renameSync(aside, BINDING);
  return complaint;
}

/** Multiplies two matrices with what was built, in a process of its own. Null, or why that fails. */
function check() {
  const program = `const tf = require(${JSON.stringify(PACKAGE)});
const [value] = tf.matMul(tf.tensor2d([[1, 2]]), tf.tensor2d([[3], [4]])).dataSync();
if (value !== 11) throw new Error("1 x 3 + 2 x 4 is " + value);
console.log(tf.backend().binding.TF_Version);`;
  const env = { ...process.env, TF_CPP_MIN_LOG_LEVEL: "2" };
  const { stdout, problem } = run(process.execPath, ["-e", program], { env });
  if (problem !== null) return `the backend was built but does not work: ${problem}`;
  console.log(`built @tensorflow/tfjs-node-gpu on TensorFlow ${stdout.trim()}`);
  return null;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { from: { type: "string" }, fetch: { type: "boolean" }, force: { type: "boolean" } },
  });
  const { path, problem } = await buildTensorflow(values);
  console.log(path === undefined ? `tensorflow is not built: ${problem}` : `tensorflow is ready: ${path}`);
  process.exitCode = path === undefined ? 1 : 0;
}
