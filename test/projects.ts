/** @file What vitest's projects are made of: those of `npm test` (vitest.config.ts) and those of the night (vitest.nightly.config.ts). */
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { configDefaults } from "vitest/config";
import { isOnPypi } from "../scripts/build-native.js";

/** Numeric tests extend `expect` (toBeAllclose, toLeakNoTensors). */
const MATCHERS = "test/numeric/matchers.ts";

const isThere = (file: string): boolean => existsSync(new URL(`../${file}`, import.meta.url));

/** What setupFiles need to name for the numeric matchers; an image of the product has no tests. */
export const matchers = isThere(MATCHERS) ? [MATCHERS] : [];

interface ProjectOptions {
  readonly timeoutMs: number;
  readonly setupFiles?: string[];
  readonly globalSetup?: string[];
  /** Files and folders under test/ that it runs; left out, the folder of its name. */
  readonly from?: readonly string[];
  /** Files under test/ that it leaves to another project. */
  readonly without?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A project: a suite, and how it is run. */
export function project(name: string, options: ProjectOptions) {
  const { timeoutMs, setupFiles = [], globalSetup = [], from = [name], without = [], env = {} } = options;
  return {
    extends: true as const,
    test: {
      name,
      include: from.map((path) => (path.endsWith(".ts") ? `test/${path}` : `test/${path}/**/*.test.ts`)),
      exclude: [...configDefaults.exclude, ...without.map((path) => `test/${path}`)],
      env,
      testTimeout: timeoutMs,
      hookTimeout: timeoutMs,
      setupFiles,
      globalSetup,
    },
  };
}

/** What all projects have in common. */
export const COMMON = {
  pool: "forks" as const,
  maxWorkers: Math.max(2, Math.min(4, availableParallelism())),
  globalSetup: ["test/temporary-folder.ts"],
};

/** A build of a native backend that suites run on again. */
interface NativeBuild {
  /** Tells its projects from those of other builds. */
  readonly name: string;
  readonly backend: "torch" | "tensorflow";
  readonly env: Readonly<Record<string, string>>;
  /** Files under test/ that take minutes on it, and run at night. */
  readonly slow: readonly string[];
}

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
  PATCHBAY_TORCH_ADDON: fileURLToPath(new URL(`../${torchIn("build-pypi")}`, import.meta.url)),
};
/** `patchbay doctor --build tensorflow` builds it. Its package calls functions that Node 23 removed. */
const hasTensorflow = isThere(".cache/tensorflow/build.json") && Number.parseInt(process.versions.node) < 23;
const SLOW_ON_TENSORFLOW = [
  "numeric/truth-properties.test.ts",
  "numeric/circuit-properties.test.ts",
  "determinism/killed-worker.test.ts",
];

/** Native backends that are built, or must be. */
export const NATIVE_BUILDS: readonly NativeBuild[] = [
  ...(hasTorch("build") ? [{ name: "torch", backend: "torch" as const, env: torch, slow: [] }] : []),
  ...(hasTorch("build-pypi") && !isOnPypi()
    ? [{ name: "torch-pypi", backend: "torch" as const, env: besideIt, slow: [] }]
    : []),
  ...(hasTensorflow
    ? [
        {
          name: "tensorflow",
          backend: "tensorflow" as const,
          env: { TF_NUM_INTRAOP_THREADS: "1", TF_NUM_INTEROP_THREADS: "1" },
          slow: SLOW_ON_TENSORFLOW,
        },
      ]
    : []),
];
