/** @file Test suites: one project for each folder under test/. */
import { availableParallelism } from "node:os";
import { existsSync } from "node:fs";
import { defineConfig } from "vitest/config";

/** Numeric tests extend `expect` (toBeAllclose, toLeakNoTensors). */
const MATCHERS = "test/numeric/matchers.ts";

const project = (name: string, options: { timeoutMs: number; setupFiles?: string[]; globalSetup?: string[] }) => ({
  extends: true as const,
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout: options.timeoutMs,
    hookTimeout: options.timeoutMs,
    setupFiles: options.setupFiles ?? [],
    globalSetup: options.globalSetup ?? [],
  },
});

const matchers = existsSync(new URL(MATCHERS, import.meta.url)) ? [MATCHERS] : [];

export default defineConfig({
  test: {
    pool: "forks",
    maxWorkers: Math.max(2, Math.min(4, availableParallelism())),
    projects: [
      project("unit", { timeoutMs: 60_000, setupFiles: matchers }),
      project("numeric", { timeoutMs: 300_000, setupFiles: matchers }),
      project("cluster", { timeoutMs: 300_000, globalSetup: ["test/cluster/obtain-nats-server.ts"] }),
      project("simulation", { timeoutMs: 300_000 }),
      project("browser", { timeoutMs: 300_000 }),
    ],
  },
});
