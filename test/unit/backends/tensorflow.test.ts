import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  findTensorflow,
  nodeProblem,
  probeTensorflow,
  tensorflowSettings,
} from "../../../src/backends/tensorflow-probe.js";
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
    await expect(startTensorflow(null, null)).rejects.toMatchObject({
      code: "not_built",
      message: expect.stringMatching(/patchbay doctor --build tensorflow.*"wasm"/) as string,
    });
    expect(probeTensorflow(null, null).problem).toMatch(/not built here: patchbay doctor --build tensorflow/);
  });

  it("that does not load is refused with the loader's own words", async () => {
    await expect(startTensorflow(folder, null)).rejects.toMatchObject({
      code: "not_built",
      message: expect.stringMatching(/does not load: libtensorflow_cc.*--force/) as string,
    });
    expect(probeTensorflow(folder, null).problem).toMatch(/does not load: libtensorflow_cc.*--force/);
  });

  it("is refused, built or not, where Node lacks what its package calls, with the versions that have it", async () => {
    expect(nodeProblem({ isNullOrUndefined: () => false })).toBe(null);
    const problem = nodeProblem({});
    expect(problem).toMatch(/does not run on Node \d+\..*Use Node 20 or 22/);
    await expect(startTensorflow(folder, problem)).rejects.toMatchObject({ code: "not_built", message: problem });
    expect([probeTensorflow(folder, problem), probeTensorflow(null, problem)]).toEqual([{ problem }, { problem }]);
  });

  it("does not round float32 to TF32 on a GPU unless the user asks for it", () => {
    expect(tensorflowSettings({})).toMatchObject({ NVIDIA_TF32_OVERRIDE: "0", TF_FORCE_GPU_ALLOW_GROWTH: "true" });
    expect(tensorflowSettings({ NVIDIA_TF32_OVERRIDE: "1" })).toMatchObject({ NVIDIA_TF32_OVERRIDE: "1" });
  });
});
