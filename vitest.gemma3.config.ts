/** @file `npm run test:gemma3`: the suite that needs pretrained weights, which `npm test` leaves out. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/gemma3/**/*.test.ts"],
    pool: "forks",
    setupFiles: ["test/numeric/matchers.ts"],
    testTimeout: 1_800_000,
    hookTimeout: 600_000,
  },
});
