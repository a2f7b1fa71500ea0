/** @file `prompts.parquet`: what was planned comes back, and texts belong to their tokens. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { artifactMetadata, type Provenance } from "../../../src/artifacts/artifact-metadata.js";
import { decodeParquet } from "../../../src/artifacts/parquet.js";
import { decodePrompts, encodePrompts } from "../../../src/artifacts/prompts-file.js";
import { REGISTER } from "../../../src/experiments/registry.js";
import { planSweep, type PlannedRun } from "../../../src/plan/make-plan.js";

const TINY_A = "test/fixtures/tiny-a";
const ENVIRONMENT = { code: "c", backend: "wasm", device: "d", threads: 1, dtype: "float32", node: "20", tfjs: "t" };

const folder = mkdtempSync(join(tmpdir(), "patchbay-prompts-"));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function planOn(path: string): Promise<PlannedRun> {
  const sweep = { name: "p", model: { path: resolve(TINY_A, "model") }, dataset: { path }, means: true };
  const source = { text: JSON.stringify(sweep), file: "sweep.json", baseFolder: TINY_A };
  return planSweep(REGISTER.experiments, source, { backend: "wasm", autoThreads: 1 });
}

const provenance = ({ plan, planHash }: PlannedRun): Provenance => ({
  plan,
  planHash,
  environment: ENVIRONMENT,
  missingPrompts: [],
});

/** The pairs of the fixture, those of even lines in a cluster. */
function clusteredPairs(): string {
  const path = join(folder, "clustered.jsonl");
  const lines = readFileSync(`${TINY_A}/data/pairs.jsonl`, "utf8").trim().split("\n");
  const named = lines.map((line, at) =>
    at % 2 === 1 ? line.replace("{", `{"cluster": "noun ${String(at % 3)}", `) : line,
  );
  writeFileSync(path, named.join("\n"));
  return path;
}

describe("prompts.parquet", () => {
  it.each(["pairs", "pairs-mixed-lengths", "plain", "pairs-with-faults"])(
    "gives back what was planned of %s",
    async (name) => {
      const planned = await planOn(`data/${name}.jsonl`);
      const rows = await decodePrompts(encodePrompts(provenance(planned), planned.texts));
      expect(rows).toEqual(
        planned.plan.prompts.map((ids, prompt) => ({ prompt, use: "both", ids, text: planned.texts[prompt] })),
      );
      expect(rows.every(({ text }) => text.file === `${name}.jsonl`)).toBe(true);
    },
  );

  it.each(["pairs", "plain"])(
    "has for each token of %s its text, which together are BOS and the prompt",
    async (name) => {
      const { texts, plan } = await planOn(`data/${name}.jsonl`);
      for (const [at, { clean, corrupted }] of texts.entries()) {
        expect(clean.tokens).toHaveLength(plan.prompts[at]?.clean.length ?? 0);
        for (const side of [clean, ...(corrupted === null ? [] : [corrupted])])
          expect(side.tokens.join("")).toBe(`<bos>${side.text}`);
      }
    },
  );

  it("has the cluster of each row that names one, null where none does", async () => {
    const planned = await planOn(clusteredPairs());
    const bytes = encodePrompts(provenance(planned), planned.texts);
    const clusters = (await decodeParquet(bytes)).rows.map((row) => row["cluster"]);
    expect(clusters.slice(0, 4)).toEqual([null, "noun 1", null, "noun 0"]);
    const [without, named] = await decodePrompts(bytes);
    expect(named?.ids.cluster).toBe("noun 1");
    expect(without?.ids).not.toHaveProperty("cluster");
  });

  it("clusters are part of the plan, and not of the hash of what was computed with", async () => {
    const [bare, clustered] = [await planOn("data/pairs.jsonl"), await planOn(clusteredPairs())];
    const metadata = [bare, clustered].map((planned) => artifactMetadata(provenance(planned), "none"));
    expect(clustered.planHash).not.toBe(bare.planHash);
    expect(metadata[1]?.["prompts"]).toBe(metadata[0]?.["prompts"]);
    expect(metadata[1]?.["dataset"]).not.toBe(metadata[0]?.["dataset"]);
  });
});
