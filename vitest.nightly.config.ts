/**
 * @file `npm run test:nightly`: what takes minutes and rarely breaks, on every backend that is built. `npm test` leaves it out: the folder
 * test/nightly, suites that are slow on a native backend, and test/libraries, which asks Python libraries where they are installed.
 */
import { defineConfig } from "vitest/config";
import { COMMON, matchers, NATIVE_BUILDS, project } from "./test/projects.js";

const OPTIONS = {
  timeoutMs: 600_000,
  setupFiles: matchers,
  globalSetup: ["test/cluster/obtain-nats-server.ts"],
};

export default defineConfig({
  test: {
    ...COMMON,
    projects: [
      project("nightly", OPTIONS),
      project("libraries", { timeoutMs: 600_000 }),
      ...NATIVE_BUILDS.map(({ name, backend, env, slow }) =>
        project(`nightly-${name}`, {
          ...OPTIONS,
          from: ["nightly", ...slow],
          env: { PATCHBAY_TEST_BACKEND: backend, ...env },
        }),
      ),
    ],
  },
});
