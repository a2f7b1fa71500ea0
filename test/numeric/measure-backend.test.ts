import { beforeAll, describe, expect, it } from "vitest";
import { measureBackend } from "../../src/backends/measure-backend.js";
import { startBackend } from "../../src/backends/start-backend.js";
import { TEST_BACKEND } from "./test-backend.js";

describe("what doctor measures of a backend", () => {
  beforeAll(async () => {
    await startBackend(TEST_BACKEND);
  });

  it("has float32's errors, positive rates, and leaves no tensors behind", async () => {
    await expect(() => {
      const { largest_relative_error: error, ...rates } = measureBackend();
      expect(error).toBeLessThan(2e-6);
      expect(error).toBeGreaterThan(1e-9);
      for (const rate of Object.values(rates)) expect(rate).toBeGreaterThan(0);
    }).toLeakNoTensors();
  });
});
