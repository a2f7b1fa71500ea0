import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type BackendProbe, probeTorch } from "../../../src/backends/torch-probe.js";
import { temporaryFolder } from "../weights/temporary-folder.js";

const builder = new URL("../../../scripts/build-native.js", import.meta.url).href;

describe("probing the torch addon", () => {
  /** What every addon can say of itself. */
  const DEVICE = `exports.gpuProblem = () => "no GPU";
    exports.useDevice = () => {};
    exports.processor = () => "AVX9";
    exports.version = () => "9.1";`;

  /** Probes an addon whose functions are written here. */
  function probe(functions: string, ...builder: string[]): BackendProbe {
    const file = join(temporaryFolder(), "addon.cjs");
    writeFileSync(file, functions);
    return probeTorch(file, ...builder);
  }

  it("names the device of an addon that this version's sources made", async () => {
    const { hashOfSources } = (await import(builder)) as { hashOfSources: () => string };
    const found = probe(`exports.sources = () => "${hashOfSources()}"; ${DEVICE}`);
    expect(found.device).toMatch(/^cpu \(libtorch 9\.1, AVX9, .+\)$/);
  });

  it.each([
    ["other sources", 'exports.sources = () => "0123456789abcdef"'],
    ["sources from before they were named", "exports.gpuProblem = () => ''"],
  ])("refuses an addon made from %s", (_, functions) => {
    const problem = "torch was built from another version's sources: patchbay doctor --build torch";
    expect(probe(functions)).toEqual({ problem });
  });

  it("takes an addon as it is where its sources are not, as in a container image", () => {
    expect(probe(DEVICE, "/nowhere/build-native.js").device).toMatch(/^cpu \(libtorch 9\.1, AVX9, .+\)$/);
  });

  it("says why an addon does not load, and what to do", () => {
    expect(probe('throw new Error("libtorch_cpu.so: cannot open shared object file")').problem).toBe(
      "torch does not load: libtorch_cpu.so: cannot open shared object file. Build it again: patchbay doctor --build torch --force",
    );
    expect(probeTorch(join(temporaryFolder(), "absent.node")).problem).toBe(
      "torch is not built here: patchbay doctor --build torch",
    );
  });
});
