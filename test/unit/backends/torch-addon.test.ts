import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadTorchAddon } from "../../../src/backends/torch-addon.js";

describe("the torch addon", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "patchbay-addon-"));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  it("that was never built is refused with how to build it and what works without", () => {
    const action = (): unknown => loadTorchAddon(join(folder, "absent.node"));
    expect(action).toThrow(expect.objectContaining({ code: "not_built" }) as Error);
    expect(action).toThrow(/patchbay doctor --build torch.*"wasm"/);
  });

  it("that does not load is refused with the loader's own words", () => {
    const file = join(folder, "broken.node");
    writeFileSync(file, "not a library");
    const action = (): unknown => loadTorchAddon(file);
    expect(action).toThrow(expect.objectContaining({ code: "not_built" }) as Error);
    expect(action).toThrow(/does not load: .*broken\.node/);
  });
});
