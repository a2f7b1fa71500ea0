/**
 * @file A kind of node that the product does not have goes all the way from the sweep to artifacts and report, with edits of five source
 * files. Its effects are those of a plain forward pass, and its scores are what small patches of that pass tend to.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { readParquet, type ParquetRow } from "../../src/artifacts/parquet.js";
import type { Model } from "../../src/model/model.js";
import type { Prompt } from "../../src/nodes/prompt.js";
import { siteHook } from "../../src/nodes/site.js";
import { readSafetensorsFile } from "../../src/weights/safetensors.js";
import { goldenModel, goldenPrompts, TINY_A } from "../numeric/golden.js";
import { naiveMetric, naiveSites } from "../numeric/naive-forward.js";
import { buildWithToyKind, changedFiles } from "./toy-node-kind.js";

const SWEEP = `name: halfway
model: { path: ${TINY_A}/model }
saes: none
dataset: { path: ${TINY_A}/data/pairs.jsonl, limit: 3 }
scores: [{ name: atp, method: atp }]
truth: { nodes: [{ kind: [halfway, site], layers: [0, 2], at: [2, -1, global] }] }
`;

const folder = mkdtempSync(join(tmpdir(), "patchbay-toy-kind-"));
const artifact = (name: string): string => join(folder, "run", "artifacts", name);
const prompts = goldenPrompts("pairs").slice(0, 3);

let model: Model;
beforeAll(async () => {
  model = await goldenModel();
  buildWithToyKind(folder);
  writeFileSync(join(folder, "sweep.yaml"), SWEEP);
  const args = ["bin/patchbay.js", "run", "sweep.yaml", "--out", "run", "--backend", "wasm"];
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: "utf8" });
  expect([status, stderr]).toEqual([0, ""]);
});
afterAll(() => {
  model.dispose();
  rmSync(folder, { recursive: true, force: true });
});

/** The metric of a plain forward pass with a node's site moved by a part of its way to the corrupted run; at position -1, at all. */
async function movedMetric(prompt: Prompt, { hook, position }: ParquetRow, part: number): Promise<number> {
  const [clean, corrupted] = [await naiveSites(model, prompt, "clean"), await naiveSites(model, prompt, "corrupted")];
  const metric = await naiveMetric(model, prompt, "clean", "max", (at, live_TD) => {
    if (siteHook(at) !== String(hook).replace(".hook_halfway", "")) return live_TD;
    const key = `${at.site}.${String(at.layer)}`;
    const way_TD = tf.mul(tf.sub(must(corrupted.get(key), key), must(clean.get(key), key)), part);
    const mask = prompt.clean.map((_, t) => (position === -1 || position === t ? 1 : 0));
    return tf.add(live_TD, tf.mul(way_TD, tf.tensor2d(mask, [mask.length, 1])));
  });
  tf.dispose([...clean.values(), ...corrupted.values()]);
  return metric;
}

/** How the metric changes with the part of the way, for nodes halfway: the mean over prompts of a central difference at no part of it. */
async function meanSlope(node: ParquetRow, small: number): Promise<number> {
  let sum = 0;
  for (const prompt of prompts) {
    const [up, down] = [await movedMetric(prompt, node, small / 2), await movedMetric(prompt, node, -small / 2)];
    sum += (up - down) / (2 * small);
  }
  return sum / prompts.length;
}

const HOOK = "blocks.2.hook_resid_post";
const arrayOf = (arrays: Awaited<ReturnType<typeof readSafetensorsFile>>["arrays"], name: string): number[] =>
  Array.from(must(arrays.get(name), name).values, Number);
const rowsOf = async (file: string): Promise<readonly ParquetRow[]> => (await readParquet(artifact(file))).rows;
const isHalfway = ({ hook }: ParquetRow): boolean => String(hook).endsWith(".hook_halfway");

describe("a kind of node that is added", () => {
  it("takes five files", () => {
    expect(changedFiles(folder)).toEqual([
      "experiments/scores/scores.ts",
      "experiments/truth/truth-deltas.ts",
      "experiments/truth/work.ts",
      "nodes/kinds.ts",
      "plan/node-slots.ts",
    ]);
  });

  it("is listed among the nodes, at every site, layer and position that the sweep names", async () => {
    const listed = (await rowsOf("nodes.parquet")).filter(isHalfway);
    expect(listed).toHaveLength(3 * 2 * 3);
    expect(listed.filter(({ position }) => position === -1)).toHaveLength(6);
  });

  it("has the effects of a plain forward pass that goes half of the way", async () => {
    const rows = (await rowsOf("truth.parquet")).filter(isHalfway);
    expect(rows).toHaveLength(3 * 18);
    for (const row of rows) {
      const prompt = must(prompts[Number(row["prompt"])], "prompt");
      expect([Number(row["metric_patched"])]).toBeAllclose([await movedMetric(prompt, row, 0.5)], {
        rtol: 0,
        atol: 1e-5,
      });
    }
  });

  it("has half of a whole site's score to the bit, and the one that small patches tend to", async () => {
    const { arrays } = await readSafetensorsFile(artifact("scores-atp.safetensors"));
    const [score, whole] = [arrayOf(arrays, `${HOOK}.hook_halfway`), arrayOf(arrays, HOOK)];
    expect(score).toEqual(whole.map((value) => value / 2));
    const small = 0.004;
    const slopes = await Promise.all([2, 4, 6].map((position) => meanSlope({ hook: HOOK, position }, small)));
    expect(slopes).toBeAllclose(
      [2, 4, 6].map((position) => must(score[position], "score")),
      { rtol: 1e-3, atol: 0 },
    );
  });

  it("is in the validation, and named in the report", () => {
    const { groups } = JSON.parse(readFileSync(artifact("validation.json"), "utf8")) as { groups: { kind: string }[] };
    expect(groups.map(({ kind }) => kind)).toContain("halfway");
    expect(readFileSync(join(folder, "run", "report.html"), "utf8")).toContain("sites halfway");
  });
});
