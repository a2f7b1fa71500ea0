/** @file The seed's experiments in data/sfc: every file is a sweep on every model, and they stay short. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { REGISTER } from "../../../src/experiments/registry.js";
import { planSweep } from "../../../src/plan/make-plan.js";
import { readSweep } from "../../../src/sweep/read-sweep.js";
import { readSweepFiles } from "../../../src/sweep/sweep-files.js";

const FOLDER = "data/sfc";
const MODELS = ["tiny.yaml", "gemma3-270m.yaml", "gemma2-2b.yaml"];
const experiments = readdirSync(FOLDER).filter((name) => !MODELS.includes(name));
const linesOf = (name: string): string[] => readFileSync(join(FOLDER, name), "utf8").trimEnd().split("\n");
const filesOf = (...names: readonly string[]): string[] => names.map((name) => join(FOLDER, name));

describe("the seed's experiments", () => {
  it.each(MODELS.flatMap((model) => experiments.map((name) => [name, model] as const)))(
    "%s is a sweep on %s",
    (name, model) => {
      const { sweep } = readSweep(REGISTER.experiments, readSweepFiles(filesOf(model, name)));
      expect(sweep.name).toContain(name.replace(".yaml", "").slice(0, 1));
    },
  );

  it.each(experiments.filter((name) => name !== "d-filtered.yaml"))(
    "%s can be planned on the tiny model",
    async (name) => {
      const { plan } = await planSweep(REGISTER.experiments, readSweepFiles(filesOf("tiny.yaml", name)), {
        backend: "wasm",
        autoThreads: 1,
      });
      expect(plan.stages.length).toBeGreaterThan(0);
    },
  );

  it("d-filtered.yaml asks for the run of d before it can be planned", async () => {
    const text = readSweepFiles(filesOf("tiny.yaml", "d-filtered.yaml"));
    const elsewhere = { ...text, text: text.text.replace("../../runs/sfc/tiny/d", "no-such-run") };
    await expect(planSweep(REGISTER.experiments, elsewhere, { backend: "wasm", autoThreads: 1 })).rejects.toThrow(
      /dataset\.where\.from: there is no folder no-such-run/,
    );
  });

  it("take less than a dozen lines each, each a sentence on what it is at the top, and an entry in the script that runs them", () => {
    expect(experiments.flatMap(linesOf).length).toBeLessThan(12 * 12);
    const script = readFileSync("scripts/sfc.js", "utf8");
    for (const name of experiments) {
      expect(linesOf(name)[0], name).toMatch(/^# .+\. .+\.$/);
      expect(script, name).toMatch(new RegExp(`^ {2}"?${name.replace(".yaml", "")}"?: \\[`, "m"));
    }
  });

  it("find the same names in the file of every model", () => {
    const namesIn = (model: string): string[] =>
      linesOf(model).flatMap((line) => /^x-[\w-]+: &(\w+)/.exec(line)?.[1] ?? []);
    for (const model of MODELS) expect(namesIn(model), model).toEqual(namesIn("tiny.yaml"));
  });
});
