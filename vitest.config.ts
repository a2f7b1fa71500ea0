/** @file Test suites: one project for each folder under test/, and one for each native backend that is built. */
import { defineConfig } from "vitest/config";
import { COMMON, matchers, NATIVE_BUILDS, project } from "./test/projects.js";

/** The numeric and determinism suites again, on a native backend; tests of that backend alone are in test/numeric-BACKEND. */
const onNative = NATIVE_BUILDS.map(({ name, backend, env, slow }) =>
  project(`numeric-${name}`, {
    timeoutMs: 300_000,
    setupFiles: matchers,
    from: ["numeric", "numeric-native", `numeric-${backend}`, "determinism"],
    without: slow,
    env: { PATCHBAY_TEST_BACKEND: backend, ...env },
  }),
);

export default defineConfig({
  test: {
    ...COMMON,
    projects: [
      project("unit", { timeoutMs: 60_000, setupFiles: matchers }),
      project("numeric", { timeoutMs: 300_000, setupFiles: matchers }),
      ...onNative,
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
