/** @file Spans as positions: what single tokens give where each is a span, and independent forward passes where lengths are unequal. */
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ParquetRow } from "../../src/artifacts/parquet.js";
import { decodePrompts } from "../../src/artifacts/prompts-file.js";
import { must } from "../../src/base/assert.js";
import { AUTODIFF_RULES } from "../../src/model/backward-rules.js";
import { loadAnswers } from "../../src/model/metric.js";
import { indexOf, type Node, nodeAt, parseNodeHook } from "../../src/nodes/node.js";
import type { Prompt } from "../../src/nodes/prompt.js";
import { siteHook } from "../../src/nodes/site.js";
import { visitGradients } from "../../src/passes/backward.js";
import { captureRuns } from "../../src/passes/capture.js";
import type { SplicedModel } from "../../src/passes/spliced-model.js";
import { withScope } from "../../src/model/tensor-scope.js";
import { readArtifact } from "../../src/run/artifacts.js";
import { runPaths } from "../../src/run/run-folder.js";
import { encode, errorOf } from "../../src/sae/sae.js";
import { readSafetensorsFile } from "../../src/weights/safetensors.js";
import { tablesOfRun } from "../../src/tables/run-tables.js";
import { goldenSpliced, TINY_A } from "./golden.js";
import { naiveMetric, naiveSites } from "./naive-forward.js";
import { runPipeline } from "./pipeline.js";
import { rowsOf, unequalRows, wordRows } from "./span-rows.js";

const sweep = (path: string, rest: string): string => `name: spans
model: { path: model }
saes: { path: saes }
dataset: { path: "${path}" }
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
  const SCORES = "scores: [{ name: atp, method: atp }, { name: relp, method: relp }, { name: ig, method: ig, steps: 2 }, { name: zero, method: zero }]"; // prettier-ignore
  const truth = (at: string): string =>
    `truth: { nodes: [{ kind: [error, head, site], at: ${at} }, { kind: feature, top: 6, by: atp, at: ${at} }, { kind: neuron, top: 3, by: atp, at: ${at} }] }`;
  let plain: string;
  let spans: string;
  beforeAll(async () => {
    const paths = wordRows(6);
    const run = async (path: string, at: string): Promise<string> =>
      (await runPipeline(sweep(path, `${SCORES}\n${truth(at)}`), TINY_A, model)).folder;
    plain = await run(paths.plain, "[1, 2, 3, 4, 5, 6]");
    spans = await run(paths.spans, "[word0, word1, 2, word3, word4, answer]");
  });

  it.each(["atp", "relp", "ig", "zero"])("scores %s are those of the tokens, bit for bit", async (name) => {
    const file = (folder: string) => readSafetensorsFile(runPaths(folder).artifact(`scores-${name}.safetensors`));
    const [tokens, words] = [await file(plain), await file(spans)];
    expect([...words.arrays.keys()]).toEqual([...tokens.arrays.keys()]);
    for (const [key, { shape, values }] of words.arrays) {
      const all = must(tokens.arrays.get(key), key);
      expect(shape, key).toEqual([6, ...all.shape.slice(1)]);
      // BOS stands in no span.
      expect(Buffer.from(values.buffer).equals(Buffer.from(all.values.slice(all.values.length / 7).buffer)), key).toBe(
        true,
      );
    }
  });

  it("components and effects are those of the tokens, bit for bit", async () => {
    for (const [name, isThere] of [
      ["components.parquet", (row: ParquetRow) => Number(row["position"]) > 0],
      ["truth.parquet", () => true],
      ["validation.parquet", () => true],
    ] as const) {
      const tokens = (await rowsOf(plain, name)).filter(isThere);
      const moved = tokens.map((row) => ({ ...row, position: Number(row["position"]) - 1 }));
      expect(moved.length).toBeGreaterThan(50);
      expect(await rowsOf(spans, name), name).toEqual(moved);
    }
  });
});

describe("pairs of unequal length", () => {
  let folder: string;
  let prompts: readonly Prompt[];
  beforeAll(async () => {
    const rest = `scores: [{ name: atp, method: atp }]
truth: { nodes: [{ kind: [error, head, site], at: all }, { kind: feature, top: 5, by: atp }, { kind: neuron, top: 2, by: atp }] }`;
    const run = await runPipeline(sweep(unequalRows(), rest), TINY_A, model);
    ({ folder } = run);
    ({ prompts } = run.planned.plan);
  });

  it("are kept, and the first and last of them run together", () => {
    expect(prompts.map(({ clean, corrupted }) => [clean.length, corrupted?.length])).toEqual([
      [7, 6],
      [7, 9],
      [8, 6],
      [7, 7],
      [7, 6],
    ]);
  });

  it("artifacts say where the spans stand, and what groups of a position are called", async () => {
    const read = await decodePrompts(await readArtifact(folder, "prompts.parquet"));
    expect(read.map(({ ids }) => ids)).toEqual(prompts);
    const text = Buffer.from(await readArtifact(folder, "validation.json")).toString();
    const { groups } = JSON.parse(text) as { groups: { position: number | null; span?: string }[] };
    const names = new Set(groups.map(({ position, span }) => `${String(position)} ${span ?? "none"}`));
    expect(names).toEqual(new Set(["null none", "0 subject", "1 link", "2 answer"]));
    const titles = (await tablesOfRun(folder)).sections.flatMap(({ tables }) => tables.flatMap(({ rows }) => rows.map(([first]) => first?.text))); // prettier-ignore
    expect(titles).toContain("attn_z, subject");
  });

  it("a span's true effect is that of a whole forward pass with its tokens patched", async () => {
    const rows = (await rowsOf(folder, "truth.parquet")).filter((_, i) => i % 6 === 0);
    const actual: number[] = [];
    const expected: number[] = [];
    for (const row of rows) {
      const prompt = must(prompts[Number(row["prompt"])], "prompt");
      actual.push(Number(row["effect"]));
      expected.push((await patchedMetric(prompt, nodeOf(row))) - Number(row["metric_clean"]));
    }
    expect(rows.length).toBeGreaterThan(150);
    expect(actual.filter((effect) => effect !== 0).length).toBeGreaterThan(100);
    expect(actual).toBeAllclose(expected, { rtol: 1e-4, atol: 2e-5 });
  });

  it("a span's AtP is the gradient times the difference of its tokens, summed", async () => {
    const rows = (await rowsOf(folder, "truth.parquet")).filter(({ kind }) => kind !== "neuron");
    const expected: number[] = [];
    const gradients = await Promise.all(prompts.map(gradientsOf));
    const actual: number[] = [];
    for (const row of rows.filter((_, i) => i % 3 === 0)) {
      const p = Number(row["prompt"]);
      const node = nodeOf(row);
      const delta_TD = await deltaOf(must(prompts[p], "prompt"), node);
      const gradient = must(must(gradients[p], "gradients").get(siteHook(node)), "gradient");
      expected.push(gradient.reduce((sum, value, i) => sum + value * must(delta_TD[i], "delta"), 0));
      actual.push(Number(row["atp"]));
    }
    expect(actual).toBeAllclose(expected, { rtol: 1e-4, atol: 1e-5 });
  });
});

function nodeOf(row: ParquetRow): Node {
  const { kind, ...at } = must(parseNodeHook(String(row["hook"])), "hook");
  const index = [row["feature"], row["head"], row["neuron"]].map(Number).find((one) => one >= 0) ?? 0;
  return nodeAt(kind, { ...at, position: Number(row["position"]) }, index);
}

/** Gradient of the clean run's metric at every site, by hook. */
async function gradientsOf(prompt: Prompt): Promise<Map<string, Float32Array>> {
  const found = new Map<string, Float32Array>();
  await withScope(async (own) => {
    const answers = own(await loadAnswers(model.model.embedding, [prompt], "max"));
    const run = own(
      must((await captureRuns(model.model, [prompt], ["clean"], answers, { backward: "clean" }))[0], "run"),
    );
    await visitGradients({ model: model.model, run, answers, rules: AUTODIFF_RULES }, async (at, gradient_RD) => {
      found.set(siteHook(at), (await gradient_RD.data()) as Float32Array);
    });
  });
  return found;
}

/** What a node contributes to its site's activation `x`. */
function contribution(node: Node, x_TD: tf.Tensor): tf.Tensor {
  const width = must(x_TD.shape[1], "width");
  const columns = (isIn: (column: number) => boolean): tf.Tensor =>
    tf.mul(x_TD, tf.tensor2d(Float32Array.from({ length: width }, (_, i) => (isIn(i) ? 1 : 0)), [1, width])); // prettier-ignore
  const index = indexOf(node, "feature") ?? 0;
  if (node.kind === "site") return tf.clone(x_TD);
  if (node.kind === "neuron") return columns((i) => i === node.neuron);
  if (node.kind === "head") return columns((i) => Math.floor(i / (width / model.model.config.nHeads)) === node.head);
  const sae = must(model.sae(node), "SAE");
  const f_TF = encode(sae, x_TD);
  if (node.kind === "error") return errorOf(sae, x_TD, f_TF);
  return tf.matMul(tf.slice(f_TF, [0, index], [-1, 1]), tf.slice(sae.W_dec_FD, [index, 0], [1, -1]));
}

/** What patching a span's tokens adds to the clean activation, `[T, D]`: the last tokens of both spans side by side. */
async function deltaOf(prompt: Prompt, node: Node): Promise<Float32Array> {
  const [clean, corrupted] = [
    await naiveSites(model.model, prompt, "clean"),
    await naiveSites(model.model, prompt, "corrupted"),
  ];
  const [x, y] = [clean, corrupted].map((sites) =>
    contribution(node, must(sites.get(`${node.site}.${String(node.layer)}`), "site")),
  ) as [tf.Tensor, tf.Tensor];
  const [own, other] = [await x.array(), await y.array()] as [number[][], number[][]];
  const span = must(prompt.spans?.[Number(node.position)], "span");
  const width = must(x.shape[1], "width");
  const delta = new Float32Array(own.length * width);
  let [here, there] = [span.clean[1] - 1, span.corrupted[1] - 1];
  for (; here >= span.clean[0] && there >= span.corrupted[0]; here--, there--) {
    const isShared =
      here === there && String(prompt.clean.slice(0, here + 1)) === String(prompt.corrupted?.slice(0, here + 1));
    if (isShared) continue;
    for (let d = 0; d < width; d++)
      delta[here * width + d] = must(other[there]?.[d], "corrupted") - must(own[here]?.[d], "clean");
  }
  tf.dispose([...clean.values(), ...corrupted.values(), x, y]);
  return delta;
}

async function patchedMetric(prompt: Prompt, node: Node): Promise<number> {
  const delta = await deltaOf(prompt, node);
  return await naiveMetric(model.model, prompt, "clean", "max", ({ site, layer }, x_TD) =>
    site === node.site && layer === node.layer
      ? tf.add(x_TD, tf.tensor2d(delta, x_TD.shape as [number, number]))
      : x_TD,
  );
}
