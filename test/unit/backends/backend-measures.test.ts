import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { measuredOnce, measureInProcess } from "../../../src/backends/backend-measures.js";

let memory = "";
beforeEach(() => {
  const home = mkdtempSync(join(tmpdir(), "patchbay-cache-"));
  vi.stubEnv("XDG_CACHE_HOME", home);
  memory = join(home, "patchbay", "backends.json");
});

describe("what was measured of a backend", () => {
  it("is remembered for this device, and measured anew on request", () => {
    const { measures } = measureInProcess("wasm", "cpu");
    expect(measures?.gemm_gflops).toBeGreaterThan(0);
    const text = readFileSync(memory, "utf8");
    writeFileSync(memory, text.replace(/"gemm_gflops": [\d.]+/, '"gemm_gflops": 123456'));
    expect(measuredOnce("wasm", "cpu").measures?.gemm_gflops).toBe(123456);
    expect(measuredOnce("wasm", "another device").measures?.gemm_gflops).not.toBe(123456);
    expect(measureInProcess("wasm", "cpu").measures?.gemm_gflops).not.toBe(123456);
  });

  it("is measured again where the memory is damaged", () => {
    measureInProcess("wasm", "cpu");
    writeFileSync(memory, '{"wasm');
    expect(measuredOnce("wasm", "cpu").measures?.gemm_gflops).toBeGreaterThan(0);
    expect(JSON.parse(readFileSync(memory, "utf8"))).toBeTypeOf("object");
  });

  it("is a problem in words where it fails", () => {
    expect(measureInProcess("abacus", "cpu").problem).toMatch(/^it fails: expected one of wasm/);
  });
});
