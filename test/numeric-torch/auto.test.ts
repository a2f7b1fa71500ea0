import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { chooseBackend } from "../../src/backends/choose-backend.js";

/** What doctor might measure where nothing else runs: torch is the fastest but for tensorflow, by less than its head start. */
const RATES: Readonly<Record<string, number>> = { wasm: 25, torch: 190, tensorflow: 206 };

/** Puts those rates in the place of the ones that were measured. */
function rememberRates(file: string): void {
  const measured = JSON.parse(readFileSync(file, "utf8")) as Record<string, object>;
  const rated = Object.entries(measured).map(([key, measures]) => {
    const name = key.slice(0, key.indexOf(";"));
    return [key, { ...measures, gemm_gflops: RATES[name] }];
  });
  writeFileSync(file, JSON.stringify(Object.fromEntries(rated)));
}

describe("--backend auto", () => {
  const cache = mkdtempSync(join(tmpdir(), "auto-"));
  beforeAll(() => {
    vi.stubEnv("XDG_CACHE_HOME", cache);
  });
  afterAll(() => {
    vi.unstubAllEnvs();
    rmSync(cache, { recursive: true });
  });

  it("is torch for a model whose matrices are large, with the rates that decided; wasm for a small one", () => {
    const withRates = expect.stringMatching(
      /^--backend auto: wasm multiplies at [\d.]+ GFLOP\/s; torch multiplies at/,
    ) as string;
    // Measured beside other suites, which may be faster is open.
    expect(chooseBackend("auto", 2304)).toMatchObject({ reason: withRates });
    rememberRates(join(cache, "patchbay", "backends.json"));
    expect(chooseBackend("auto", 2304)).toMatchObject({ backend: "torch", reason: withRates });
    expect(chooseBackend("auto", 48)).toMatchObject({ backend: "wasm", reason: "--backend auto: the model is small" });
  });
});
