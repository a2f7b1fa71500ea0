/**
 * @file `npm test`: from a bare clone to a verdict. It installs, builds, lints, type-checks, builds the torch addon where that can
 * be built (in CI also on PyPI's libtorch, and the tensorflow backend), finds or fetches the programs that suites need, and runs every
 * suite. Each step counts as one test, and the first that fails ends the run. The last line is `N passed, N failed`.
 * Further arguments go to vitest.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { ensureInstalled, ROOT, runStep } from "./install.js";

const SUMMARY = join(ROOT, ".cache", "test-summary.json");
const NPM_STEPS = ["build", "lint", "typecheck"];

const inCi = process.env["CI"] !== undefined;
const count = { passed: 0, failed: 0 };

/** Runs a step under a headline and counts it; true when it passed. */
async function step(name, action) {
  console.log(`\n== ${name}`);
  const started = performance.now();
  const passed = await action();
  count[passed ? "passed" : "failed"] += 1;
  console.log(`== ${name}: ${passed ? "passed" : "FAILED"} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  return passed;
}

/**
 * In CI the addon must be there, on this machine's libtorch, where it has one, and on PyPI's; elsewhere suites are left out, with the
 * reason, where it cannot be built, and where nobody has asked for PyPI's libtorch.
 */
async function buildTorchAddons() {
  const { buildNative, isOnPypi, PYPI_BUILD } = await import("./build-native.js");
  const built = async (options) => {
    const { problem, missing } = await buildNative(options);
    if (problem !== undefined) console.log(`not built: ${problem}`);
    return problem === undefined || (missing === true && !inCi);
  };
  if (!(await step("build:native", () => built({ orFetch: inCi })))) return false;
  if (isOnPypi()) return true;
  if (inCi || existsSync(PYPI_BUILD))
    return await step("build:native, PyPI's libtorch", () => built({ fetch: true, into: PYPI_BUILD }));
  const command = `npm run build:native -- --fetch --into ${relative(ROOT, PYPI_BUILD)}`;
  console.log(`\n== the numeric suites do not run on PyPI's libtorch: ${command} (0.5 GB), then npm test`);
  return true;
}

/** Not counted: the suites run on tensorflow where it is built. CI builds it, and says why where it cannot. */
async function buildTensorflow() {
  if (!inCi) return;
  const { buildTensorflow: build } = await import("./build-tensorflow.js");
  const { path, problem } = await build();
  console.log(`\n== tensorflow: ${path ?? `the numeric suites do not run on it: ${problem}`}`);
}

/** Not counted: suites that need a program fail without it, and say why; outside CI they are left out. */
async function findPrograms() {
  const { obtainNatsServer } = await import("./nats-server.js");
  const { obtainKubectl } = await import("./kubectl.js");
  const { obtainChromium } = await import("./chromium.js");
  const without = inCi ? "the suites that need it fail" : "the suites that need it are left out";
  for (const [name, obtain] of Object.entries({
    "nats-server": obtainNatsServer,
    kubectl: obtainKubectl,
    chromium: obtainChromium,
  })) {
    const { path, problem } = obtain();
    console.log(`\n== ${name}: ${path ?? `${without}. ${problem}`}`);
  }
  const { MAJORS, obtainNode } = await import("./node-versions.js");
  for (const major of MAJORS) {
    const { path, problem } = obtainNode(major);
    console.log(`\n== Node ${major}: ${path ?? `its bytes are not compared with the others'. ${problem}`}`);
  }
}

/** Runs vitest and adds what its reporter counted. */
function runSuites() {
  mkdirSync(join(ROOT, ".cache"), { recursive: true });
  rmSync(SUMMARY, { force: true });
  const vitest = join(ROOT, "node_modules", "vitest", "vitest.mjs");
  const reporters = ["--reporter=default", `--reporter=${join(ROOT, "scripts", "summary-reporter.js")}`];
  const succeeded = runStep(process.execPath, [vitest, "run", ...reporters, ...process.argv.slice(2)], {
    PATCHBAY_TEST_SUMMARY: SUMMARY,
  });
  const { passed, failed, skipped } = readSummary();
  count.passed += passed;
  count.failed += failed;
  if (skipped > 0) console.log(`${skipped} skipped`);
  if (passed + failed === 0) console.log("no test ran");
  if (failed === 0 && (!succeeded || passed === 0)) count.failed += 1;
}

function readSummary() {
  try {
    return JSON.parse(readFileSync(SUMMARY, "utf8"));
  } catch {
    console.log("vitest ended without a summary");
    return { passed: 0, failed: 0, skipped: 0 };
  }
}

async function main() {
  if (!ensureInstalled()) {
    count.failed += 1;
    return;
  }
  for (const name of NPM_STEPS) {
    if (!(await step(name, () => runStep("npm", ["run", "--silent", name])))) return;
  }
  if (!(await buildTorchAddons())) return;
  await buildTensorflow();
  await findPrograms();
  runSuites();
}

await main();
console.log(`\n${count.passed} passed, ${count.failed} failed`);
process.exitCode = count.failed === 0 ? 0 : 1;
