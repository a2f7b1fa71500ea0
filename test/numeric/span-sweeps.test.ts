/** @file Whole sweeps on rows with spans: what other tests know of tokens holds of words that are spans, option by option. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ParquetRow, readParquet } from "../../src/artifacts/parquet.js";
import { openSpliced, type SplicedModel } from "../../src/passes/spliced-model.js";
import { readRunFile, runPaths, writeRunFile } from "../../src/run/run-folder.js";
import { openCheckpoint } from "../../src/weights/checkpoint.js";
import { goldenSpliced, TINY_A } from "./golden.js";
import { runPipeline } from "./pipeline.js";
import { unequalRows, wordRows } from "./span-rows.js";
import { expectSameInAnyBlock } from "./test-backend.js";

const ATP = "{ name: atp, method: atp }";
const sweep = (dataset: string, rest: string, { saes = "{ path: saes }", scores = ATP } = {}): string => `name: sweeps
model: { path: model }
saes: ${saes}
dataset: ${dataset}
scores: [${scores}]
${rest}
`;
const rowsOf = async (folder: string, name: string): Promise<ParquetRow[]> =>
  (await readParquet(runPaths(folder).artifact(name))).rows;
const { plain: PLAIN, spans: WORDS } = wordRows(6);
const ERROR = "blocks.2.hook_resid_post.hook_sae_error";

let model: SplicedModel;
beforeAll(async () => {
  model = await goldenSpliced();
});
afterAll(() => {
  model.dispose();
});

/** Runs a sweep on tokens and on words, whose places are written `$word0`, and so on. */
async function both(
  rest: string,
  options: Parameters<typeof sweep>[2] = {},
  on = model,
): Promise<{ tokens: string; words: string }> {
  const [tokens, words] = [rest.replace(/\$word(\d)/g, (_, word) => String(Number(word) + 1)), rest.replace(/\$word/g, "word")]; // prettier-ignore
  return {
    tokens: (await runPipeline(sweep(`{ path: "${PLAIN}" }`, tokens, options), TINY_A, on)).folder,
    words: (await runPipeline(sweep(`{ path: "${WORDS}" }`, words, options), TINY_A, on)).folder,
  };
}

async function expectSame(
  { tokens, words }: { readonly tokens: string; readonly words: string },
  name: string,
  columns: readonly string[],
): Promise<void> {
  const [own, other] = [await rowsOf(words, name), await rowsOf(tokens, name)];
  expect(own.length).toBeGreaterThan(0);
  for (const column of columns)
    expectSameInAnyBlock(own.map((row) => Number(row[column])), other.map((row) => Number(row[column]))); // prettier-ignore
}

describe("where each word is a span", () => {
  it("parts of errors, configurations by hooks and restored nodes are those of the tokens", async () => {
    const folders = await both(`fit: { path: data/pairs.jsonl }
truth: { nodes: [{ kind: [error_linear, error_nonlinear], at: [$word1, $word4] }], donor: mean }
experiments:
  - { name: whole, ablate: { nodes: [${ERROR}], positions: [$word1, -1] } }
  - { name: parts, ablate: { nodes: [${ERROR}_linear, ${ERROR}_nonlinear], positions: [$word1] } }
  - { name: linear, ablation: zero, ablate: { nodes: [${ERROR}_linear], positions: [$word2] }, restore: { nodes: [${ERROR}_nonlinear], positions: [$word2] } }`, { scores: `${ATP}, { name: zero, method: zero }` }); // prettier-ignore
    await expectSame(folders, "circuits-prompts.parquet", ["metric_circuit", "metric_full"]);
    await expectSame(folders, "truth.parquet", ["effect", "atp", "zero"]);
  });

  it("circuits and truth of heads and neurons without SAEs are those of the tokens", async () => {
    const checkpoint = await openCheckpoint(`${TINY_A}/model`);
    const bare = await openSpliced(checkpoint, []);
    const places = "[$word0, $word1, $word2, $word3, $word4, -1]";
    for (const kind of ["heads", "neurons"]) {
      const one = kind.slice(0, -1);
      const set = `{ set: { kind: ${one}, at: ${places} }, where: "abs >= 0.001" }`;
      const folders = await both(`truth: { nodes: [{ kind: ${one}, at: [$word1], top: 3, by: atp }] }
circuits: { nodes: ${kind}, thresholds: [0.01], completeness: false }
experiments: [{ name: strong, ablate: ${set} }]`, { saes: "none" }, bare); // prettier-ignore
      const strong = async (folder: string): Promise<number[]> =>
        (await rowsOf(folder, "circuits-prompts.parquet")).filter((row) => row["experiment"] === "strong").map((row) => Number(row["metric_circuit"])); // prettier-ignore
      expectSameInAnyBlock(await strong(folders.words), await strong(folders.tokens));
      await expectSame(folders, "truth.parquet", ["effect", "atp"]);
    }
    bare.dispose();
    await checkpoint.close();
  });
});

describe("rows of unequal length", () => {
  it("lend their scores and means to a run on the same spans, and to no other", async () => {
    const rows = `{ path: "${unequalRows()}" }`;
    const experiments = "experiments: [{ name: top, grid: { P: [subject, link] }, ablate: { kind: feature, at: $P, top: 5 } }]"; // prettier-ignore
    const own = await runPipeline(sweep(rows, experiments), TINY_A, model);
    writeRunFile(own.folder, { ...readRunFile(own.folder), status: "complete" });
    const borrowed = { scores: `{ name: atp, from: "${own.folder}" }` };
    const again = await runPipeline(sweep(rows, experiments, borrowed), TINY_A, model);
    const metrics = await rowsOf(again.folder, "circuits-prompts.parquet");
    expect(metrics).toEqual(await rowsOf(own.folder, "circuits-prompts.parquet"));
    const elsewhere = sweep(`{ path: "${PLAIN}" }`, "circuits: {}", borrowed);
    await expect(runPipeline(elsewhere, TINY_A, model)).rejects.toThrow(
      /scores\[0\]\.from: the run has other spans than this sweep \(subject, link, answer there, none here\)/,
    );
  });

  it("choose on some rows and are measured on others", async () => {
    const words = `{ select: { path: "${unequalRows()}" }, evaluate: { path: "${unequalRows(true)}" } }`;
    const { folder } = await runPipeline(sweep(words, "truth: { features: { top: 3, random: 2 } }\ncircuits: { thresholds: [0.01] }"), TINY_A, model); // prettier-ignore
    const rows = await rowsOf(folder, "truth.parquet");
    expect(new Set(rows.map((row) => row["prompt"])).size).toBe(5);
    expect(new Set(rows.map((row) => row["position"])).size).toBe(3);
    for (const row of await rowsOf(folder, "circuits-prompts.parquet"))
      expect(Number.isFinite(row["metric_circuit"])).toBe(true);
  });
});
