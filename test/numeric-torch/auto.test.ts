import { describe, expect, it } from "vitest";
import { chooseBackend } from "../../src/backend/choose-backend.js";

/** What a reason says of each backend: `torch multiplies at 190 GFLOP/s`. */
function ratesOf(reason: string): Map<string, number> {
  return new Map(
    Array.from(reason.matchAll(/(\w+) multiplies at ([\d.]+) GFLOP/g), ([, name, rate]) => [name ?? "", Number(rate)]),
  );
}

describe("--backend auto", () => {
  it("is what multiplies fastest for a model whose matrices are large, with the rates that decided; wasm for a small one", () => {
    const { backend, reason } = chooseBackend("auto", 2304);
    expect(reason).toMatch(/^--backend auto: wasm multiplies at/);
    const rates = ratesOf(reason);
    expect(rates.has("torch")).toBe(true);
    // Which it is depends on the machine, and on what else runs there: fastest-backend.test.ts has the rule.
    const deciding = [...rates].map(([name, rate]): [string, number] => [name, name === "torch" ? 1.5 * rate : rate]);
    expect(backend).toBe(deciding.sort(([, a], [, b]) => b - a)[0]?.[0]);
    expect(chooseBackend("auto", 48)).toMatchObject({ backend: "wasm", reason: "--backend auto: the model is small" });
  });
});
