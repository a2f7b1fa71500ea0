import { describe, expect, it } from "vitest";
import { fastestBackend } from "../../../src/backends/fastest-backend.js";

const measured = (name: string, gemm_gflops: number, largest_relative_error = 1e-7) => ({
  name,
  measures: { gemm_gflops, largest_relative_error, microseconds_per_small_op: 1, copy_gib_per_second: 1 },
});
const wasm = measured("wasm", 25);

describe("the fastest backend", () => {
  it("is the one that multiplies fastest", () => {
    expect(fastestBackend([measured("torch", 190), wasm])?.name).toBe("torch");
    expect(fastestBackend([measured("tensorflow", 200), wasm])?.name).toBe("tensorflow");
  });

  it("is wasm where torch has no matrix library worth the name", () => {
    expect(fastestBackend([measured("torch", 5), wasm])?.name).toBe("wasm");
  });

  it("is torch unless another is far faster: it has more kernels of its own", () => {
    expect(fastestBackend([measured("torch", 190), measured("tensorflow", 206), wasm])?.name).toBe("torch");
    expect(fastestBackend([measured("torch", 190), measured("tensorflow", 400), wasm])?.name).toBe("tensorflow");
  });

  it("computes in float32", () => {
    expect(fastestBackend([measured("tensorflow", 9000, 1e-3), measured("torch", 190), wasm])?.name).toBe("torch");
  });

  it("works: one that is absent or fails is no candidate", () => {
    expect(fastestBackend([{ name: "torch", problem: "not built" }, wasm])?.name).toBe("wasm");
    expect(fastestBackend([{ name: "torch", problem: "not built" }])).toBeUndefined();
  });
});
