/**
 * @file `npm run test:nightly`: what takes minutes and rarely breaks, on every backend that is built. `npm test` leaves it out: the folder
 * test/nightly, and suites that are slow on a native backend.
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
