/** @file Sets of nodes that are patched all at once: against the reference, and against single nodes. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ParquetRow, readParquet } from "../../src/artifacts/parquet.js";
import { must } from "../../src/base/assert.js";
import type { SplicedModel } from "../../src/passes/spliced-model.js";
import { runPaths } from "../../src/run/run-folder.js";
import { goldenArrays, goldenJson, goldenSpliced, TINY_A } from "./golden.js";
import { runPipeline } from "./pipeline.js";
import { TEST_BACKEND } from "./test-backend.js";

const { joint: JOINT } = goldenJson("extra/joint") as { joint: Record<string, Record<string, number[] | null>> };
const FEATURE = "blocks.2.hook_resid_post.hook_sae_acts_post";

const sweep = (truth: string, rest = "", data = "pairs"): string => `name: joint
model: { path: model }
saes: { path: saes }
dataset: { path: data/${data}.jsonl }
scores: [{ name: atp, method: atp }]
sets:
  errors: { kind: error, site: resid_post, layers: 1..-2, at: -1 }
  top5: { kind: feature, site: resid_post, at: -1, top: 5 }
  one-error: { kind: error, site: mlp_out, layers: 1, at: 3 }
  one-feature: { kind: feature, site: resid_post, layers: 2, at: -1, features: [58] }
  nothing: []
  without: { set: errors, minus: errors }
  late: [errors, { kind: error, site: mlp_out, layers: 2 }]
${rest}
truth: ${truth}
`;

interface Finding {
  readonly set: string;
  readonly size: number;
  readonly n: number;
  readonly effect: number;
  readonly single_effects: number | null;
  readonly scores: Record<string, number>;
}

interface Ran {
  readonly truth: ParquetRow[];
  readonly joint: Finding[];
  readonly sets: ParquetRow[];
  readonly scores: ParquetRow[];
  readonly warnings: string[];
}

let model: SplicedModel;
beforeAll(async () => {
  model = await goldenSpliced();
});
afterAll(() => {
  model.dispose();
});

async function ran(text: string): Promise<Ran> {
  const { folder, warnings } = await runPipeline(text, TINY_A, model);
  const { artifact } = runPaths(folder);
  const rows = async (name: string): Promise<ParquetRow[]> => (await readParquet(artifact(name))).rows;
  const { joint } = JSON.parse(readFileSync(artifact("validation.json"), "utf8")) as { joint: Finding[] };
  return { truth: await rows("truth.parquet"), joint, sets: await rows("sets.parquet"), scores: await rows("validation.parquet"), warnings }; // prettier-ignore
}

/** Effects of a set by prompt. */
const effectsOf = ({ truth }: Ran, set: string): number[] =>
  truth.filter((row) => row["kind"] === "set" && row["hook"] === set).map((row) => Number(row["effect"]));

const mean = (values: readonly number[]): number => values.reduce((sum, one) => sum + one, 0) / values.length;

describe("a set that is patched all at once", () => {
  let run: Ran;
  beforeAll(async () => {
    const nodes =
      "[{ kind: error, site: [resid_post, mlp_out] }, { kind: feature, site: resid_post, layers: 2, at: -1 }]";
    run = await ran(sweep(`{ joint: [errors, top5, one-error, one-feature, late], nodes: ${nodes} }`));
  });

  it("has the reference's effect on every pair", async () => {
    const expected = await goldenArrays("extra/joint");
    for (const [set, members] of Object.entries(JOINT)) {
      const listed = run.sets.filter((row) => row["set"] === set);
      for (const [hook, features] of Object.entries(members))
        if (features !== null)
          expect(listed.filter((row) => row["hook"] === hook).map((row) => row["index"])).toEqual(features);
      expect(effectsOf(run, set), set).toBeAllclose(expected.get(set), { rtol: 0, atol: 5e-5 });
    }
  });

  it("of one node has that node's effect", () => {
    const single = (test: (row: ParquetRow) => boolean): number[] => run.truth.filter(test).map((row) => Number(row["effect"])); // prettier-ignore
    const error = single((row) => row["hook"] === "blocks.1.hook_mlp_out.hook_sae_error" && row["position"] === 3);
    const feature = single((row) => row["hook"] === FEATURE && row["feature"] === 58);
    expect(effectsOf(run, "one-error")).toBeAllclose(error, { rtol: 0, atol: 1e-5 });
    expect(effectsOf(run, "one-feature")).toBeAllclose(feature, { rtol: 0, atol: 1e-5 });
    expect(feature.some((effect) => Math.abs(effect) > 1e-3)).toBe(true);
  });

  it("stands beside the sum of its nodes' effects, where all were measured, and of their scores", () => {
    const byName = new Map(run.joint.map((one) => [one.set, one]));
    expect([...byName.keys()]).toEqual(["errors", "top5", "one-error", "one-feature", "late"]);
    const [errors, late, top5] = ["errors", "late", "top5"].map((set) => must(byName.get(set), set)) as [Finding, Finding, Finding]; // prettier-ignore
    const places = [1, 2].map(
      (layer) =>
      run.scores.filter((row) => row["hook"] === `blocks.${String(layer)}.hook_resid_post.hook_sae_error` && row["position"] === 6), // prettier-ignore
    );
    const sum = (column: string): number => places.flat().reduce((total, row) => total + Number(row[column]), 0);
    expect(places.flat()).toHaveLength(2);
    expect(errors).toMatchObject({ size: 2, n: effectsOf(run, "errors").length });
    expect(errors.effect).toBeCloseTo(mean(effectsOf(run, "errors")), 10);
    expect(errors.single_effects).toBeCloseTo(sum("effect"), 10);
    expect(errors.scores["atp"]).toBeCloseTo(sum("atp"), 6);
    // Together they do another thing than one by one.
    expect(Math.abs(errors.effect - must(errors.single_effects ?? undefined, "sum"))).toBeGreaterThan(1e-4);
    expect(late.size).toBe(2 + 7);
    expect(late.single_effects).not.toBeNull();
    expect(top5.size).toBe(20);
    expect(top5.single_effects).toBeNull();
    expect(must(byName.get("one-error"), "set").single_effects).toBeCloseTo(must(byName.get("one-error"), "set").effect, 6); // prettier-ignore
  });
});

describe("a sweep with joint patches", () => {
  it("may have no single nodes, several lengths, and any donor; a set of one node has the effect of that donor", async () => {
    const alone = await ran(sweep("{ joint: [top5, without] }", "", "pairs-mixed-lengths"));
    expect(new Set(alone.truth.map((row) => row["kind"]))).toEqual(new Set(["set"]));
    // The clean run is another block: its bits are the same where a backend sums each row alone.
    const largest = Math.max(...effectsOf(alone, "without").map(Math.abs));
    expect(largest).toBeLessThanOrEqual(TEST_BACKEND === "wasm" ? 0 : 1e-5);
    expect(alone.warnings.join()).toMatch(/the set without of `joint` has no node/);
    for (const donor of ["mean", "zero"]) {
      const scores = "scores: [{ name: atp, method: atp }, { name: zero, method: zero }]";
      const text = sweep(`{ donor: ${donor}, joint: [one-error, one-feature], nodes: [{ kind: error, site: mlp_out, layers: 1, at: 3 }, { kind: feature, site: resid_post, layers: 2, at: -1 }] }`); // prettier-ignore
      const run = await ran(text.replace("scores: [{ name: atp, method: atp }]", scores));
      const single = (test: (row: ParquetRow) => boolean): number[] => run.truth.filter(test).map((row) => Number(row["effect"])); // prettier-ignore
      expect(effectsOf(run, "one-error")).toBeAllclose(single((row) => row["kind"] === "error"), { rtol: 0, atol: 1e-5 }); // prettier-ignore
      expect(effectsOf(run, "one-feature")).toBeAllclose(single((row) => row["feature"] === 58), { rtol: 0, atol: 1e-5 }); // prettier-ignore
    }
  });

  it.each([
    ["joint: [early]", /truth\.joint\[0\]: no set is called early \(there are: errors/],
    ["joint: [errors, nothing]", /truth\.joint\[1\]: the set nothing has no node/],
    ["joint: [errors, errors]", /truth\.joint\[1\]: the set errors is listed twice/],
    ["joint: []", /truth\.joint/],
    [
      "joint: [both]",
      /truth\.joint\[0\]: the set both patches blocks\.0\.attn\.hook_z\.hook_sae_error and a part of it/,
    ],
  ])("with %s is refused", async (truth, message) => {
    const more = "  both: { kind: [error, error_linear] }\nfit: { path: data/pairs.jsonl }";
    await expect(runPipeline(sweep(`{ ${truth} }`, more), TINY_A, model)).rejects.toThrow(message);
  });
});
