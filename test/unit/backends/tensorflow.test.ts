import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findTensorflow, probeTensorflow, tensorflowSettings } from "../../../src/backends/tensorflow-probe.js";
import { startTensorflow } from "../../../src/backends/tensorflow.js";

describe("the tensorflow backend", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "patchbay-tensorflow-"));
    mkdirSync(join(folder, "lib", "napi-v8"), { recursive: true });
    writeFileSync(join(folder, "index.js"), 'throw new Error("libtensorflow_cc.so.2: cannot open shared object file")');
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  it("is found where the package has its binding, and only there", () => {
    expect(findTensorflow(folder)).not.toBe(folder);
    writeFileSync(join(folder, "lib", "napi-v8", "tfjs_binding.node"), "");
    expect(findTensorflow(folder)).toBe(folder);
  });

  it("that was never built is refused with how to build it and what works without", async () => {
    await expect(startTensorflow(null)).rejects.toMatchObject({
      code: "not_built",
      message: expect.stringMatching(/patchbay doctor --build tensorflow.*"wasm"/) as string,
    });
    expect(probeTensorflow(null).problem).toMatch(/not built here: patchbay doctor --build tensorflow/);
  });

  it("that does not load is refused with the loader's own words", async () => {
    await expect(startTensorflow(folder)).rejects.toMatchObject({
      code: "not_built",
      message: expect.stringMatching(/does not load: libtensorflow_cc.*--force/) as string,
    });
    expect(probeTensorflow(folder).problem).toMatch(/does not load: libtensorflow_cc.*--force/);
  });

  it("does not round float32 to TF32 on a GPU unless the user asks for it", () => {
    expect(tensorflowSettings({})).toMatchObject({ NVIDIA_TF32_OVERRIDE: "0", TF_FORCE_GPU_ALLOW_GROWTH: "true" });
    expect(tensorflowSettings({ NVIDIA_TF32_OVERRIDE: "1" })).toMatchObject({ NVIDIA_TF32_OVERRIDE: "1" });
  });
});
