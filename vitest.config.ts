/** @file Test suites: one project for each folder under test/. */
import { availableParallelism } from "node:os";
import { existsSync } from "node:fs";
import { defineConfig } from "vitest/config";

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
    include: [name, ...(options.alsoIn ?? [])].map((folder) => `test/${folder}/**/*.test.ts`),
    env: options.env ?? {},
    testTimeout: options.timeoutMs,
    hookTimeout: options.timeoutMs,
    setupFiles: options.setupFiles ?? [],
    globalSetup: options.globalSetup ?? [],
  },
});

const matchers = existsSync(new URL(MATCHERS, import.meta.url)) ? [MATCHERS] : [];

/** Built by `npm run build:native`; the same numeric suites run on it. CI must have it. */
const torch =
  process.env["CI"] !== undefined || existsSync(new URL("native/build/patchbay-torch.node", import.meta.url));
const onTorch = project("numeric-torch", {
  timeoutMs: 300_000,
  setupFiles: matchers,
  alsoIn: ["numeric"],
  env: { PATCHBAY_TEST_BACKEND: "torch", OMP_NUM_THREADS: "1" },
});

export default defineConfig({
  test: {
    pool: "forks",
    maxWorkers: Math.max(2, Math.min(4, availableParallelism())),
    projects: [
      project("unit", { timeoutMs: 60_000, setupFiles: matchers }),
      project("numeric", { timeoutMs: 300_000, setupFiles: matchers }),
      ...(torch ? [onTorch] : []),
      project("cluster", { timeoutMs: 300_000, globalSetup: ["test/cluster/obtain-nats-server.ts"] }),
      project("simulation", { timeoutMs: 300_000 }),
      project("browser", { timeoutMs: 300_000 }),
    ],
  },
});
