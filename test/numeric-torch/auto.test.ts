import { describe, expect, it } from "vitest";
import { chooseBackend } from "../../src/backend/choose-backend.js";

describe("--backend auto", () => {
  it("is torch for a model whose matrices are large, with the rates that decided; wasm for a small one", () => {
    expect(chooseBackend("auto", 2304)).toMatchObject({
      backend: "torch",
      reason: expect.stringMatching(
        /^--backend auto: wasm multiplies at [\d.]+ GFLOP\/s; torch multiplies at/,
      ) as string,
    });
    expect(chooseBackend("auto", 48)).toMatchObject({ backend: "wasm", reason: "--backend auto: the model is small" });
  });
});
