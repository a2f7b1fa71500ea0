/** @file The tiny world's card: README.md beside its files, with everything that was set and measured. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../src/base/assert.js";
import { siteHook, type SaeSiteAt } from "../../src/nodes/site.js";
import type { SaeFigures } from "../../src/sae-training/held-out-figures.js";
import type { ModelConfig } from "../../src/families/family.js";
import type { AgreementFigures } from "./agreement-figures.js";
import { FAMILIES, type Family } from "./grammar.js";
import { SPLITS, type Split } from "./pairs.js";
import { CLAUSE_VERBS, HELD_OUT_GROUPS, INNER_VERBS, NOUNS } from "./words.js";
import type { WorldSettings } from "./world-settings.js";

/** One SAE's place and figures. */
export interface SaeReport extends SaeSiteAt {
  readonly figures: SaeFigures;
  /** Folder below the model's. */
  readonly folder: string;
}

/** What a build measured. */
export interface WorldReport {
  readonly config: ModelConfig;
  readonly finalLoss: number;
  readonly agreement: ReadonlyMap<string, AgreementFigures>;
  readonly saes: readonly SaeReport[];
  readonly hashes: ReadonlyMap<string, string>;
}

/** Name of a pairs file, without its ending. */
export function pairsName(family: Family, split: Split): string {
  return `${family}.${split}`;
}

/** The file's name. */
export const CARD = "README.md";

/** Writes the card. It holds no times and nothing of the machine. */
export function writeCard(folder: string, settings: WorldSettings, report: WorldReport): void {
  const parts = [
    INTRODUCTION,
    pairsPart(),
    modelPart(settings, report),
    agreementPart(report),
    saesPart(settings, report),
  ];
  writeFileSync(join(folder, CARD), `${[...parts, hashesPart(report)].join("\n\n")}\n`);
}

const INTRODUCTION = `# The tiny world

A small language of subject-verb agreement, a Gemma-2 model trained on it, and sparse autoencoders at every site of the
model, in the formats of the real ones: everything that Patchbay does to a large model can be tried on it in minutes.
\`npm run make-data\` rebuilds \`agreement/\`, \`tiny-gemma2/\`, \`CHECKSUMS\` and this page, byte for byte on the wasm backend
(about ten minutes on one core); \`npm run make-data -- --check\` compares the files with \`CHECKSUMS\`.`;

function pairsPart(): string {
  const [nouns, clause, inner] = [NOUNS.length, CLAUSE_VERBS.length, INNER_VERBS.length].map(String);
  return `## Language and pairs (\`agreement/\`)

| family | prefix | answer agrees with |
| --- | --- | --- |
| simple | The N | the noun |
| nounpp | The N *preposition* the N | the first noun |
| rc | The N that the N V | the first noun |
| within_rc | The N that the N | the second noun |

${must(nouns, "count")} nouns (regular, irregular and collective), ${must(clause, "count")} verbs that end a clause and ${must(inner, "count")} inside relative clauses; every word
is one token. Clean and corrupted prompts differ in the number of the agreeing noun. \`case\` is the clean number of each
noun, and all cases are equally frequent. \`cluster\` is the agreeing noun in the singular: pairs that share it are not
independent of one another.

Nouns and verbs are dealt into ${HELD_OUT_GROUPS} groups. In a test pair all nouns and verbs are of one group; in training pairs and
training sentences no noun meets a verb of its own group. So the splits share no combination of a noun and a verb, in
whatever role. While the model is trained, verbs that are kept from a sentence's nouns take no part in the prediction.

Writers of this language make agreement errors. Their log-odds add up from the noun (rare and collective nouns: more),
the verb, the preposition "with", and the attractor, the other noun (of the other number: far more, of a plural most).
A model that learns these rates has a metric that differs from prompt to prompt; \`tools/tiny-world/error-model.ts\` has the
numbers.`;
}

function modelPart({ model }: WorldSettings, { config, finalLoss }: WorldReport): string {
  const { nLayers, dModel, nHeads, nKvHeads, headDim, dMlp, vocabSize, queryPreAttnScalar, slidingWindow } = config;
  const sizes = [
    `${nLayers} layers (${config.layerTypes.join(", ")}; window ${slidingWindow})`,
    `d_model ${dModel}`,
    `${nHeads} heads of ${headDim} on ${nKvHeads} key/value heads`,
    `d_mlp ${dMlp}`,
    `vocabulary ${vocabSize} (tied, scaled embedding)`,
    `query_pre_attn_scalar ${queryPreAttnScalar}`,
    `soft-caps ${String(config.attnSoftcap)} (attention) and ${String(config.finalSoftcap)} (logits)`,
  ];
  return `## Model (\`tiny-gemma2/\`)

${sizes.map((size) => `- ${size}`).join("\n")}
- float32

Trained for ${model.steps} steps of ${model.batch} sentences on next-token prediction; Adam (betas 0.9 and ${model.beta2}), peak learning rate ${model.peakLearningRate},
warm-up ${model.warmUpSteps}, cosine decay. Seed ${model.seed}. Loss at the end: ${finalLoss.toFixed(4)} nats per token.`;
}

function agreementPart({ agreement }: WorldReport): string {
  const rows = FAMILIES.flatMap((family) =>
    SPLITS.map((split) => {
      const name = pairsName(family, split);
      const figures = must(agreement.get(name), name);
      const { pairs, accuracy, mean, sd, correlation } = figures;
      const cells = [String(pairs), `${(100 * accuracy).toFixed(1)} %`, mean.toFixed(2), sd.toFixed(2)];
      return `| ${[name, ...cells, (sd / Math.abs(mean)).toFixed(2), correlation.toFixed(2)].join(" | ")} |`;
    }),
  );
  return `Metric m = logit[incorrect] - logit[correct] on clean prompts; a pair is correct where m < 0. The last column is the
correlation of m with the log-odds of an error in the language.

| file | pairs | correct | mean m | sd of m | sd / mean | r |
| --- | --- | --- | --- | --- | --- | --- |
${rows.join("\n")}`;
}

function saesPart({ sae, saeSentences }: WorldSettings, { saes }: WorldReport): string {
  const rows = saes.map((report) => {
    const { figures, folder } = report;
    const cells = [
      siteHook(report),
      figures.fvu.toFixed(3),
      figures.l0.toFixed(2),
      String(figures.largestL0),
      String(figures.dead),
      `\`${folder}\``,
    ];
    return `| ${cells.join(" | ")} |`;
  });
  return `## Sparse autoencoders (\`tiny-gemma2/saes/\`)

JumpReLU, ${sae.dSae} features each, in Gemma Scope's layout. Trained for ${sae.steps} steps of ${sae.batch} rows (peak learning rate
${sae.peakLearningRate}, kernel width ${sae.bandwidth}) on the activations of ${saeSentences.train} sentences, BOS and EOS left out; the price of a firing feature is
steered for a fraction of variance unexplained (FVU) of ${sae.targetFvu}. Seed ${sae.seed}. Figures are of ${saeSentences.figures} other sentences;
the largest L0 is that of a single row, and a dead feature fires nowhere in them.

| site | FVU | L0 | largest L0 | dead | folder |
| --- | --- | --- | --- | --- | --- |
${rows.join("\n")}`;
}

function hashesPart({ hashes }: WorldReport): string {
  const rows = [...hashes].map(([path, hash]) => `${hash}  ${path}`);
  return `## SHA-256\n\n\`\`\`\n${rows.join("\n")}\n\`\`\``;
}
