/** @file Means, circuits, joint patches and donors by span, against single tokens and independent forward passes. */
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ParquetRow } from "../../src/artifacts/parquet.js";
import { must } from "../../src/base/assert.js";
import { type Prompt, type Side, SIDES } from "../../src/nodes/prompt.js";
import type { SplicedModel } from "../../src/passes/spliced-model.js";
import { runPaths } from "../../src/run/run-folder.js";
import { readSafetensorsFile } from "../../src/weights/safetensors.js";
import { goldenSpliced, TINY_A } from "./golden.js";
import { naiveMetric, naiveSites } from "./naive-forward.js";
import { runPipeline } from "./pipeline.js";
import { rowsOf, unequalRows, wordRows } from "./span-rows.js";
import { expectSameInAnyBlock } from "./test-backend.js";

const sweep = (path: string, rest: string): string => `name: span-circuits
model: { path: model }
saes: { path: saes }
dataset: { path: "${path}" }
scores: [{ name: atp, method: atp }, { name: zero, method: zero }]
${rest}
`;

let model: SplicedModel;
beforeAll(async () => {
  model = await goldenSpliced();
});
afterAll(() => {
  model.dispose();
});

describe("where each word is a span", () => {
  const experiments = (at: string, places: string): string => `means: true
sets: { late: { kind: [feature, error], layers: 1..2, at: ${at} } }
experiments:
  - { name: all, grid: { ablation: [mean, zero] }, ablate: { kind: [feature, error], at: ${at} }, restore: { set: late, top: 3, by: atp } }
  - { name: one, grid: { P: ${places} }, ablate: { kind: [feature, error], site: mlp_out, at: $P } }
truth: { joint: [late], nodes: [{ kind: error, at: ${at} }] }`;
  let plain: string;
  let spans: string;
  beforeAll(async () => {
    const paths = wordRows(5);
    const run = async (path: string, rest: string): Promise<string> =>
      (await runPipeline(sweep(path, rest), TINY_A, model)).folder;
    plain = await run(paths.plain, experiments("[1, 2, 3, 4, 5, 6]", "[2, 6]"));
    spans = await run(paths.spans, experiments("all", "[word1, answer]"));
  });

  it("means are those of the tokens, bit for bit", async () => {
    const file = (folder: string) => readSafetensorsFile(runPaths(folder).artifact("means.safetensors"));
    const [tokens, words] = [await file(plain), await file(spans)];
    expect([...words.arrays.keys()]).toEqual([...tokens.arrays.keys()]);
    for (const [key, { values }] of words.arrays) {
      const all = must(tokens.arrays.get(key), key).values;
      expect(Buffer.from(values.buffer).equals(Buffer.from(all.slice(all.length / 7).buffer)), key).toBe(true);
    }
  });

  it("circuits and joint patches are those of the tokens, and an axis of spans has their names", async () => {
    const [tokens, words] = [
      await rowsOf(plain, "circuits-prompts.parquet"),
      await rowsOf(spans, "circuits-prompts.parquet"),
    ];
    expect(new Set(words.map((row) => row["P"]))).toEqual(new Set(["", "word1", "answer"]));
    expect(words.length).toBe(4 * 2 * 5);
    for (const column of ["metric_circuit", "metric_full"])
      expectSameInAnyBlock(
        words.map((row) => Number(row[column])),
        tokens.map((row) => Number(row[column])),
      );
    const patched = async (folder: string): Promise<number[]> =>
      (await rowsOf(folder, "truth.parquet"))
        .filter(({ kind }) => kind === "set")
        .map((row) => Number(row["metric_patched"]));
    expect((await patched(spans)).length).toBe(5);
    expectSameInAnyBlock(await patched(spans), await patched(plain));
  });
});

describe("pairs of unequal length", () => {
  const AT = { site: "resid_post", layer: 1 } as const;
  const KEY = "resid_post.1";
  const SUBJECT = 0;
  let prompts: readonly Prompt[];
  let circuits: ParquetRow[];
  let ofMean: ParquetRow[];
  let ofZero: ParquetRow[];
  let ofPair: ParquetRow[];
  /** The mean over runs of the mean over the subject's tokens. */
  let mean: Float64Array;
  beforeAll(async () => {
    const path = unequalRows();
    const site = "whole_sites: { sites: [resid_post], layers: [1] }";
    const set = "{ kind: [feature, error], site: resid_post, layers: 1, at: subject }";
    const run = async (rest: string): Promise<string> => {
      const { folder, planned } = await runPipeline(sweep(path, rest), TINY_A, model);
      ({ prompts } = planned.plan);
      return folder;
    };
    const folder = await run(`sets: { subjects: ${set} }
experiments: [{ name: subjects, grid: { ablation: [mean, zero] }, ablate: subjects }]
truth: { positions: [subject], ${site}, joint: [subjects], donor: mean }`);
    circuits = await rowsOf(folder, "circuits-prompts.parquet");
    ofMean = await rowsOf(folder, "truth.parquet");
    ofZero = await rowsOf(await run(`truth: { positions: [subject], ${site}, donor: zero }`), "truth.parquet");
    ofPair = await rowsOf(await run(`sets: { subjects: ${set} }
truth: { positions: [subject, global], ${site}, joint: [subjects] }`), "truth.parquet"); // prettier-ignore
    mean = await meanOfSubjects();
  });

  async function meanOfSubjects(): Promise<Float64Array> {
    const total: number[] = [];
    for (const prompt of prompts)
      for (const side of SIDES) {
        const sites = await naiveSites(model.model, prompt, side);
        const rows = (await must(sites.get(KEY), "site").array()) as number[][];
        const own = rows.slice(...must(prompt.spans?.[SUBJECT], "span")[side]);
        own.forEach((row) => {
          row.forEach((value, d) => (total[d] = (total[d] ?? 0) + value / own.length / (2 * prompts.length)));
        });
        tf.dispose([...sites.values()]);
      }
    return Float64Array.from(total);
  }

  /** The metric with the subject's tokens of a side set to `value`. */
  async function replaced(prompt: Prompt, side: Side, value: ArrayLike<number>): Promise<number> {
    const [start, end] = must(prompt.spans?.[SUBJECT], "span")[side];
    return await naiveMetric(model.model, prompt, side, "max", ({ site, layer }, x_TD) => {
      if (site !== AT.site || layer !== AT.layer) return x_TD;
      const D = must(x_TD.shape[1], "width");
      const own_SD = tf.tile(tf.tensor2d(Float32Array.from(value), [1, D]), [end - start, 1]);
      return tf.concat([tf.slice(x_TD, [0, 0], [start, D]), own_SD, tf.slice(x_TD, [end, 0], [-1, D])]);
    });
  }

  it.each(["mean", "zero"] as const)(
    "a span ablated to %s is so at each of its tokens, on both sides",
    async (ablation) => {
      const sae = must(model.sae(AT), "SAE");
      const value = ablation === "mean" ? mean : await sae.b_dec_D.data();
      const rows = circuits.filter(
        (row) => row["ablation"] === ablation || row["circuit"] === `subjects[ablation=${ablation}]`,
      );
      expect(rows.length).toBe(2 * prompts.length);
      for (const row of rows) {
        const side = row["side"] as Side;
        const expected = await replaced(must(prompts[Number(row["prompt"])], "prompt"), side, value);
        expect([Number(row["metric_circuit"])]).toBeAllclose([side === "clean" ? -expected : expected], {
          rtol: 1e-4,
          atol: 2e-5,
        });
      }
    },
  );

  it("a whole site's effect with the donors mean and zero is that of its tokens set to it", async () => {
    for (const [rows, value] of [
      [ofMean, mean],
      [ofZero, new Float64Array(mean.length)],
    ] as const) {
      // prettier-ignore
      const sites = rows.filter(({ kind }) => kind === "site");
      expect(sites.length).toBe(prompts.length);
      for (const row of sites) {
        const expected = await replaced(must(prompts[Number(row["prompt"])], "prompt"), "clean", value);
        expect([Number(row["metric_patched"])]).toBeAllclose([expected], { rtol: 1e-4, atol: 2e-5 });
      }
    }
  });

  it("all of a site's nodes patched at once are the whole site, of one span and of all", () => {
    for (const rows of [ofMean, ofPair]) {
      const patched = (kind: string): number[] =>
        rows
          .filter((row) => row["kind"] === kind && row["global"] !== true)
          .map((row) => Number(row["metric_patched"]));
      expect(patched("set").length).toBe(prompts.length);
      expect(patched("set")).toBeAllclose(patched("site"), { rtol: 1e-4, atol: 2e-5 });
    }
    // What is outside every span stays clean, so that all spans at once are not the corrupted run.
    const all = ofPair.filter((row) => row["global"] === true);
    expect(all.length).toBe(prompts.length);
    for (const row of all) {
      expect(row["ran"]).toBe(true);
      expect(row["metric_patched"]).not.toBe(row["metric_corrupted"]);
    }
  });
});
