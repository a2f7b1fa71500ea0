/** @file Positions that count from the end, with prompts of two lengths: one node is what it is in each length alone. */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { readParquet, type ParquetRow } from "../../src/artifacts/parquet.js";
import { readArtifact } from "../../src/run/artifacts.js";
import { runPaths } from "../../src/run/run-folder.js";
import type { SplicedModel } from "../../src/passes/spliced-model.js";
import { goldenSpliced, TINY_A } from "./golden.js";
import { runPipeline } from "./pipeline.js";
import { expectSameInAnyBlock } from "./test-backend.js";

const DATA = mkdtempSync(join(tmpdir(), "patchbay-ends-"));
const LINES = readFileSync(resolve(TINY_A, "data/pairs-mixed-lengths.jsonl"), "utf8").trimEnd().split("\n");
/** Of three lengths, one of which has one prompt. */
const ROWS = [0, 9, 2, 11, 3].map((line) => must(LINES[line], "line"));
const TOP = 4;

const sweep = (path: string, truth: string): string => `name: ends
model: { path: model }
saes: { path: saes }
dataset: { path: "${path}" }
scores: [{ name: atp, method: atp }]
truth: ${truth}
`;

let model: SplicedModel;
let mixed: string;
/** Token count of each prompt. */
let tokens: readonly number[];
/** By token count: every error, head and feature at the last two positions, of the prompts of that length alone. */
const alone = new Map<number, { readonly rows: ParquetRow[]; readonly prompts: readonly number[] }>();

const rowsOf = async (folder: string, name: string): Promise<ParquetRow[]> =>
  (await readParquet(runPaths(folder).artifact(name))).rows;
const placeOf = (row: ParquetRow): string =>
  [row["hook"], row["position"], row["feature"], row["head"], row["global"]].join(" ");

beforeAll(async () => {
  model = await goldenSpliced();
  const nodes = "{ kind: [error, head], at: [-1, -2, global] }, { kind: feature, at: [-1, 1], top: 4 }";
  const all = join(DATA, "all.jsonl");
  writeFileSync(all, `${ROWS.join("\n")}\n`);
  const { folder, planned } = await runPipeline(sweep(all, `{ nodes: [${nodes}] }`), TINY_A, model);
  mixed = folder;
  tokens = planned.plan.prompts.map(({ clean }) => clean.length);
  for (const length of new Set(tokens)) {
    const own = tokens.flatMap((count, i) => (count === length ? [i] : []));
    const path = join(DATA, `${String(length)}.jsonl`);
    writeFileSync(path, `${own.map((i) => must(ROWS[i], "row")).join("\n")}\n`);
    const each = "{ nodes: [{ kind: [error, head], at: [-1, -2, global] }, { kind: feature, at: -1 }] }";
    const run = await runPipeline(sweep(path, each), TINY_A, model);
    alone.set(length, { rows: await rowsOf(run.folder, "truth.parquet"), prompts: own });
  }
});
afterAll(() => {
  model.dispose();
});

/** Rows of the mixed run, and what the runs of single lengths have in their place: undefined where they have no such row. */
async function pairsOfRows(): Promise<{ own: ParquetRow; other: ParquetRow | undefined }[]> {
  const others = new Map<string, ParquetRow>();
  for (const [length, { rows, prompts: own }] of alone)
    for (const row of rows) {
      const position = row["global"] === true ? -1 : Number(row["position"]) - length;
      others.set(`${placeOf({ ...row, position })} ${String(own[Number(row["prompt"])])}`, row);
    }
  const rows = await rowsOf(mixed, "truth.parquet");
  return rows
    .filter((row) => row["global"] === true || Number(row["position"]) < 0)
    .map((own) => ({ own, other: others.get(`${placeOf(own)} ${String(own["prompt"])}`) }));
}

describe("a position from the end, with prompts of several lengths", () => {
  it("is one node, measured in every prompt at that prompt's own position", async () => {
    expect(new Set(tokens).size).toBe(3);
    const pairs = await pairsOfRows();
    const both = pairs.filter(({ other }) => other !== undefined);
    // 12 sites of errors, 4 x 4 heads, at three places each, and features on top.
    expect(both.length).toBeGreaterThan((12 + 16) * 3 * ROWS.length);
    for (const column of ["metric_clean", "metric_patched", "effect", "atp"])
      expectSameInAnyBlock(
        both.map(({ own }) => Number(own[column])),
        both.map(({ other }) => Number(other?.[column])),
      );
    // A feature that differs in the prompts of one length only has no row in the others: it has no effect there.
    for (const { own, other } of pairs) if (other === undefined) expect(own["effect"]).toBe(0);
  });

  it("chooses features by their mean over the prompts of all lengths", async () => {
    const nodes = (await rowsOf(mixed, "nodes.parquet")).filter(
      (row) => Number(row["feature"]) >= 0 && Number(row["position"]) === -1,
    );
    const sums = new Map<string, Map<number, number>>();
    for (const [length, { rows }] of alone)
      for (const row of rows) {
        if (Number(row["feature"]) < 0 || Number(row["position"]) !== length - 1) continue;
        const hook = String(row["hook"]);
        const ofSite = sums.get(hook) ?? new Map<number, number>();
        sums.set(hook, ofSite);
        const feature = Number(row["feature"]);
        ofSite.set(feature, (ofSite.get(feature) ?? 0) + Number(row["atp"]));
      }
    let counted = 0;
    for (const [hook, ofSite] of sums) {
      const chosen = nodes.filter((row) => row["hook"] === hook).map((row) => Number(row["feature"]));
      const ranked = [...ofSite].sort(([, a], [, b]) => Math.abs(b) - Math.abs(a)).map(([feature]) => feature);
      // The frame of a draw holds position 1 too, so some places may go there; what is chosen here are the first of its ranks.
      expect(new Set(chosen), hook).toEqual(new Set(ranked.slice(0, chosen.length)));
      counted += chosen.length;
    }
    expect(counted).toBeGreaterThan(sums.size);
    expect(nodes.length).toBeLessThanOrEqual(sums.size * TOP);
  });

  it("is told from all positions at once in every table, and has groups of its own", async () => {
    for (const name of ["nodes.parquet", "truth.parquet", "validation.parquet"]) {
      const rows = (await rowsOf(mixed, name)).filter((row) => Number(row["position"]) === -1);
      expect(new Set(rows.map((row) => row["global"])), name).toEqual(new Set([true, false]));
    }
    const text = Buffer.from(await readArtifact(mixed, "validation.json")).toString();
    const { groups } = JSON.parse(text) as { groups: { kind: string; position: number | null; n: number }[] };
    const ofHeads = groups.filter(({ kind }) => kind === "head");
    expect(ofHeads.map(({ position }) => position)).toEqual(expect.arrayContaining([null, -2, -1]));
    expect(must(ofHeads.find(({ position }) => position === -1), "group").n).toBeGreaterThan(0); // prettier-ignore
  });
});
