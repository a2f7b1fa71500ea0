/**
 * @file Builds the tiny world: pairs, tokenizer, model, SAEs, card and checksums. Equal settings give equal files.
 *
 * 1. Write the pairs of every family and split.
 * 2. Write the tokenizer, train the model, write its checkpoint, and load it back: all figures are of the files.
 * 3. Train one SAE for each site and layer on the model's activations over sentences; measure it on other sentences.
 * 4. Write the card and the checksums.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../src/base/assert.js";
import { createRng } from "../../src/base/rng.js";
import { saeSites, siteHook, type SaeSiteAt } from "../../src/nodes/site.js";
import { loadModel, type Model } from "../../src/model/model.js";
import { openCheckpoint, writeCheckpoint } from "../../src/weights/checkpoint.js";
import { writeSae } from "../../src/sae-training/write-sae.js";
import type { ModelConfig } from "../../src/families/family.js";
import { siteActivations } from "./activations.js";
import { measureAgreement, type AgreementFigures } from "./agreement-figures.js";
import { hashFiles, writeChecksums } from "./checksums.js";
import { sentenceIds } from "./corpus.js";
import { FAMILIES } from "./grammar.js";
import { makePairs, SPLITS, type Pair } from "./pairs.js";
import { checkpointTensors, disposeParameters } from "./parameters.js";
import { measureSae } from "./sae-figures.js";
import { drawSentence } from "./sentences.js";
import { trainSae, type ActivationRows } from "./sae-trainer.js";
import { tinyConfig } from "./tiny-config.js";
import { buildBpe, TOKEN_IDS, tokenizerFiles, type Bpe } from "./tokenizer-files.js";
import { trainModel } from "./train-model.js";
import type { WorldSettings } from "./world-settings.js";
import { pairsName, writeCard, type SaeReport, type WorldReport } from "./world-card.js";

/** Folders below the world's that hold its files. */
export const WORLD_FOLDERS = { pairs: "agreement", model: "tiny-gemma2" } as const;

/** Receives one line of progress. */
export type Log = (line: string) => void;

/** Builds the world in `folder`, replacing what an earlier build wrote there. Needs a started backend. */
export async function buildWorld(folder: string, settings: WorldSettings, log: Log): Promise<WorldReport> {
  for (const subfolder of Object.values(WORLD_FOLDERS))
    rmSync(join(folder, subfolder), { recursive: true, force: true });
  const pairs = writePairs(folder, settings);
  const bpe = buildBpe();
  const { config, finalLoss } = await makeModel(join(folder, WORLD_FOLDERS.model), bpe, settings, log);
  const checkpoint = await openCheckpoint(join(folder, WORLD_FOLDERS.model));
  const model = await loadModel(checkpoint);
  const agreement = new Map<string, AgreementFigures>();
  for (const [name, list] of pairs) agreement.set(name, await measureAgreement(model, bpe, list));
  const saes = await makeSaes(join(folder, WORLD_FOLDERS.model), model, bpe, settings, log);
  model.dispose();
  await checkpoint.close();
  const hashes = hashFiles(folder, Object.values(WORLD_FOLDERS));
  writeChecksums(folder, hashes);
  const report = { config, finalLoss, agreement, saes, hashes };
  writeCard(folder, settings, report);
  return report;
}

function writePairs(folder: string, { pairs, seed }: WorldSettings): Map<string, Pair[]> {
  mkdirSync(join(folder, WORLD_FOLDERS.pairs), { recursive: true });
  const written = new Map<string, Pair[]>();
  for (const family of FAMILIES) {
    for (const split of SPLITS) {
      const list = makePairs(family, split, pairs[split], seed);
      const lines = list.map(({ row }) => `${JSON.stringify(row)}\n`);
      writeFileSync(join(folder, WORLD_FOLDERS.pairs, `${pairsName(family, split)}.jsonl`), lines.join(""));
      written.set(pairsName(family, split), list);
    }
  }
  return written;
}

async function makeModel(
  folder: string,
  bpe: Bpe,
  { model: training }: WorldSettings,
  log: Log,
): Promise<{ config: ModelConfig; finalLoss: number }> {
  const config = tinyConfig(bpe.vocabulary.size);
  const every = Math.max(1, Math.floor(training.steps / 20));
  let [sum, finalLoss] = [0, NaN];
  const parameters = trainModel(config, bpe, training, (step, loss) => {
    sum += loss;
    if ((step + 1) % every !== 0) return;
    finalLoss = sum / every;
    sum = 0;
    log(`model: step ${step + 1} of ${training.steps}, loss ${finalLoss.toFixed(4)}`);
  });
  await writeCheckpoint(folder, config, checkpointTensors(config, parameters));
  disposeParameters(parameters);
  for (const [name, text] of tokenizerFiles(bpe)) writeFileSync(join(folder, name), text);
  const { bosId, eosId, padId } = config;
  const generation = { bos_token_id: bosId, eos_token_id: eosId, pad_token_id: padId };
  writeFileSync(join(folder, "generation_config.json"), `${JSON.stringify(generation, null, 2)}\n`);
  return { config, finalLoss };
}

async function makeSaes(
  folder: string,
  model: Model,
  bpe: Bpe,
  settings: WorldSettings,
  log: Log,
): Promise<SaeReport[]> {
  const rows = await siteActivations(model, drawSequences(bpe, settings.saeSentences.train, settings.seed, "saes"));
  const others = drawSequences(bpe, settings.saeSentences.figures, settings.seed, "figures");
  const otherRows = await siteActivations(model, others);
  const reports: SaeReport[] = [];
  for (const at of saeSites(model.config.nLayers)) {
    const hook = siteHook(at);
    const weights = trainSae(rowsAt(rows, at), hook, settings.sae);
    const figures = measureSae(weights, rowsAt(otherRows, at));
    const place = await writeSae(join(folder, "saes"), at, weights, figures.l0);
    reports.push({ ...at, figures, folder: `saes/${place}` });
    log(`sae ${hook}: FVU ${figures.fvu.toFixed(3)}, L0 ${figures.l0.toFixed(1)}, ${figures.dead} dead`);
  }
  return reports;
}

/** Sentences without EOS, as token ids. */
function drawSequences(bpe: Bpe, count: number, seed: number, label: string): number[][] {
  const rng = createRng(seed, "corpus", label);
  const draw = (): number[] => sentenceIds(bpe, drawSentence(rng)).filter((id) => id !== TOKEN_IDS.eos);
  return Array.from({ length: count }, draw);
}

const rowsAt = (rows: ReadonlyMap<string, ActivationRows>, at: SaeSiteAt): ActivationRows =>
  must(rows.get(siteHook(at)), siteHook(at));
