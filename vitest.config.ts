/** @file Test suites: one project for each folder under test/. */
import { availableParallelism } from "node:os";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { isOnPypi } from "./scripts/build-native.js";

/** Numeric tests extend `expect` (toBeAllclose, toLeakNoTensors). */
const MATCHERS = "test/numeric/matchers.ts";

interface ProjectOptions {
  readonly timeoutMs: number;
  readonly setupFiles?: string[];
  readonly globalSetup?: string[];
  /** Folders under test/ besides the one of the project's name. */
  readonly alsoIn?: string[];
  readonly env?: Record<string, string>;
}

const project = (name: string, options: ProjectOptions) => ({
  extends: true as const,
  test: {
    name,
    include: [...new Set([name, ...(options.alsoIn ?? [])])].map((folder) => `test/${folder}/**/*.test.ts`),
    env: options.env ?? {},
    testTimeout: options.timeoutMs,
    hookTimeout: options.timeoutMs,
    setupFiles: options.setupFiles ?? [],
    globalSetup: options.globalSetup ?? [],
  },
});

const matchers = existsSync(new URL(MATCHERS, import.meta.url)) ? [MATCHERS] : [];

const isThere = (file: string): boolean => existsSync(new URL(file, import.meta.url));

/** The numeric and determinism suites again, on a native backend; tests of that backend alone are in test/numeric-BACKEND. */
const numericOn = (backend: string, env: Record<string, string>, name = `numeric-${backend}`) =>
  project(name, {
    timeoutMs: 300_000,
    setupFiles: matchers,
    alsoIn: ["numeric", "numeric-native", `numeric-${backend}`, "determinism"],
    env: { PATCHBAY_TEST_BACKEND: backend, ...env },
  });

/**
 * `npm run build:native` builds it, and with `-- --fetch --into native/build-pypi` the one on PyPI's libtorch. CI must have both,
 * unless the first is on PyPI's already.
 */
const torchIn = (folder: string): string => `native/${folder}/patchbay-torch.node`;
const hasTorch = (folder: string): boolean => process.env["CI"] !== undefined || isThere(torchIn(folder));
const pypis = { PATCHBAY_TEST_LIBTORCH: "2.11" }; // Else nobody would notice that the other addon was tested twice.
const torch = { OMP_NUM_THREADS: "1", ...(isOnPypi() ? pypis : {}) };
const besideIt = {
  ...torch,
  ...pypis,
  PATCHBAY_TORCH_ADDON: fileURLToPath(new URL(torchIn("build-pypi"), import.meta.url)),
};
/** `patchbay doctor --build tensorflow` builds it. Its package calls functions that Node 23 removed. */
const tensorflow = isThere(".cache/tensorflow/build.json") && Number.parseInt(process.versions.node) < 23;

export default defineConfig({
  test: {
    pool: "forks",
    maxWorkers: Math.max(2, Math.min(4, availableParallelism())),
    globalSetup: ["test/temporary-folder.ts"],
    projects: [
      project("unit", { timeoutMs: 60_000, setupFiles: matchers }),
      project("numeric", { timeoutMs: 300_000, setupFiles: matchers }),
      ...(hasTorch("build") ? [numericOn("torch", torch)] : []),
      ...(hasTorch("build-pypi") && !isOnPypi() ? [numericOn("torch", besideIt, "numeric-torch-pypi")] : []),
      ...(tensorflow ? [numericOn("tensorflow", { TF_NUM_INTRAOP_THREADS: "1", TF_NUM_INTEROP_THREADS: "1" })] : []),
      project("cluster", {
        timeoutMs: 300_000,
        setupFiles: matchers,
        globalSetup: ["test/cluster/obtain-nats-server.ts"],
      }),
      project("determinism", { timeoutMs: 300_000, setupFiles: matchers }),
      project("simulation", { timeoutMs: 300_000 }),
      project("browser", { timeoutMs: 300_000, globalSetup: ["test/browser/obtain-chromium.ts"] }),
    ],
  },
});
