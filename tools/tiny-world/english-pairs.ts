/** @file Pairs of ordinary English for pretrained models: what data/english-agreement holds. */
import { ENGLISH_LEXICON } from "./english-words.js";
import { FAMILIES } from "./grammar.js";
import { makePairs, SPLITS } from "./pairs.js";

/** Most pairs in a file. */
const PAIRS = 320;
const SEED = 0;

/** The text of each file by its name, `<family>.<split>.jsonl`. */
export function englishFiles(): Map<string, string> {
  return new Map(
    FAMILIES.flatMap((family) =>
      SPLITS.map((split) => {
        const pairs = makePairs(family, split, PAIRS, SEED, ENGLISH_LEXICON);
        return [`${family}.${split}.jsonl`, pairs.map(({ row }) => `${JSON.stringify(row)}\n`).join("")] as const;
      }),
    ),
  );
}
