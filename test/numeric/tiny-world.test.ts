/** @file The checked-in tiny world keeps its card's promises, measured by the engine on the files themselves. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { createRng } from "../../src/base/rng.js";
import type { Prompt } from "../../src/nodes/prompt.js";
import { siteHook } from "../../src/nodes/site.js";
import { readDataset } from "../../src/prompts/rows.js";
import { answerLogits, forward } from "../../src/model/forward.js";
import { loadAnswers, metricsOf } from "../../src/model/metric.js";
import { loadModel, type Model } from "../../src/model/model.js";
import { GEMMA2 } from "../../src/families/gemma2.js";
import { openTokenizer, type Tokenizer } from "../../src/prompts/tokenizer.js";
import { toPrompts } from "../../src/prompts/prompts.js";
import { siteActivations } from "../../tools/tiny-world/activations.js";
import { WORLD_FOLDERS } from "../../tools/tiny-world/build-world.js";
import { changedFiles, hashFiles, readChecksums } from "../../tools/tiny-world/checksums.js";
import { FAMILIES } from "../../tools/tiny-world/grammar.js";
import { SPLITS } from "../../tools/tiny-world/pairs.js";
import { measureSae } from "../../tools/tiny-world/sae-figures.js";
import { drawSentence, sentenceText } from "../../tools/tiny-world/sentences.js";
import { CLAUSE_VERBS, INNER_VERBS, NOUNS } from "../../tools/tiny-world/words.js";
import { openCheckpoint, type Checkpoint } from "../../src/weights/checkpoint.js";
import { findSaes } from "../../src/weights/sae-folder.js";
import { startBackend } from "../../src/backends/start-backend.js";
import { readSae } from "../read-sae.js";

const DATA = fileURLToPath(new URL("../../data", import.meta.url));
const MODEL = join(DATA, WORLD_FOLDERS.model);
const pairsFile = (family: string, split: string): string =>
  join(DATA, WORLD_FOLDERS.pairs, `${family}.${split}.jsonl`);

let checkpoint: Checkpoint;
let model: Model;
let tokenizer: Tokenizer;
beforeAll(async () => {
  await startBackend("wasm");
  checkpoint = await openCheckpoint(MODEL);
  model = await loadModel(checkpoint);
  tokenizer = openTokenizer(MODEL, GEMMA2.bos);
});
afterAll(async () => {
  model.dispose();
  await checkpoint.close();
});

async function metrics(prompts: readonly Prompt[], side: "clean" | "corrupted"): Promise<number[]> {
  const answers = await loadAnswers(model.embedding, prompts, "max");
  const resid = await forward(
    model,
    prompts.map((prompt) => must(prompt[side], side)),
  );
  const logits = answerLogits(model, resid, prompts.length, answers);
  const values = [...metricsOf(logits.dataSync<"float32">(), answers)];
  tf.dispose([resid, logits]);
  answers.dispose();
  return values;
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const standardDeviation = (values: readonly number[]): number =>
  Math.sqrt(values.reduce((sum, value) => sum + (value - mean(values)) ** 2, 0) / (values.length - 1));

describe("the checked-in files", () => {
  it("are those of CHECKSUMS and of the card", () => {
    const checksums = readChecksums(DATA);
    expect(changedFiles(checksums, hashFiles(DATA, Object.values(WORLD_FOLDERS)))).toEqual([]);
    const card = readFileSync(join(DATA, "README.md"), "utf8");
    for (const [path, hash] of checksums) expect(card).toContain(`${hash}  ${path}`);
  });

  it("are at most 16 MiB together", () => {
    const files = readdirSync(DATA, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const bytes = files.reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
    expect(bytes).toBeLessThan(16 * 2 ** 20);
  });

  it("share no combination of a noun and a verb between the splits", () => {
    const [train = new Set<string>(), test = new Set<string>()] = SPLITS.map((split) => {
      const combinations = new Set<string>();
      for (const line of FAMILIES.flatMap((family) =>
        readFileSync(pairsFile(family, split), "utf8").trim().split("\n"),
      )) {
        const words = line.split(/[^A-Za-z]+/);
        const used = (forms: { singular: string; plural: string }): boolean =>
          words.includes(forms.singular) || words.includes(forms.plural);
        for (const noun of NOUNS.filter(used))
          for (const verb of [...CLAUSE_VERBS, ...INNER_VERBS].filter(used))
            combinations.add(`${noun.plural} ${verb.plural}`);
      }
      return combinations;
    });
    expect(test.size).toBeGreaterThan(100);
    expect(train.size).toBeGreaterThan(100);
    expect([...test].filter((combination) => train.has(combination))).toEqual([]);
  });
});

describe("the model", () => {
  it.each(FAMILIES)(
    "%s: at least 97 in 100 held-out pairs are right, clean and corrupted, and the metric is spread out",
    async (family) => {
      const rows = readDataset(pairsFile(family, "test"));
      const { prompts, dropped } = toPrompts(rows, tokenizer);
      expect(dropped).toEqual([]);
      const clean = await metrics(prompts, "clean");
      const corrupted = await metrics(prompts, "corrupted");
      expect(clean.filter((m) => m < 0).length / clean.length).toBeGreaterThanOrEqual(0.97);
      expect(corrupted.filter((m) => m > 0).length / corrupted.length).toBeGreaterThanOrEqual(0.97);
      expect(standardDeviation(clean) / Math.abs(mean(clean))).toBeGreaterThanOrEqual(0.25);
    },
  );

  it("has every Gemma-2 feature, in sizes that differ", () => {
    const { config } = model;
    expect(config.nKvHeads).toBeLessThan(config.nHeads);
    expect(config.nHeads * config.headDim).not.toBe(config.dModel);
    expect(config.queryPreAttnScalar).not.toBe(config.headDim);
    expect(new Set(config.layerTypes)).toEqual(new Set(["sliding", "full"]));
    expect(config.slidingWindow).toBeLessThan(7);
  });
});

describe("the SAEs", () => {
  it("leave 5 to 30 % of the variance unexplained at every site, with the L0 that their folder states and few dead features", async () => {
    const rng = createRng(99, "other sentences");
    const sequences = Array.from({ length: 400 }, () => tokenizer.encode(sentenceText(drawSentence(rng))));
    const activations = await siteActivations(model, sequences);
    const entries = await findSaes(join(MODEL, "saes"), model.config);
    expect(entries).toHaveLength(3 * model.config.nLayers);
    for (const entry of entries) {
      const rows = must(activations.get(siteHook(entry)), siteHook(entry));
      const { fvu, l0, dead, largestL0 } = measureSae(await readSae(entry), rows);
      expect(fvu, siteHook(entry)).toBeGreaterThan(0.05);
      expect(fvu, siteHook(entry)).toBeLessThan(0.3);
      expect(Math.abs(l0 - must(entry.l0, "L0")), siteHook(entry)).toBeLessThan(1);
      expect(dead, siteHook(entry)).toBeLessThan(0.35 * entry.dSae);
      expect(largestL0, siteHook(entry)).toBeLessThan(0.25 * entry.dSae); // No row on which everything fires.
    }
  });
});
