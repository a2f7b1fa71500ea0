/** @file Pairs for pretrained models: what the splits share, and that the checked-in files are what the generator makes. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { englishFiles } from "../../../tools/tiny-world/english-pairs.js";
import { ENGLISH_LEXICON } from "../../../tools/tiny-world/english-words.js";
import type { PairRow } from "../../../tools/tiny-world/pairs.js";

const files = englishFiles();
const rowsOf = (name: string): PairRow[] =>
  (files.get(name) ?? "")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as PairRow);

/** Every noun of a row with every verb of it, whatever their forms and roles. */
function combinations(row: PairRow): string[] {
  const words = Object.values(row).flatMap((text: string) => text.trim().split(" "));
  const present = (forms: readonly { singular: string; plural: string }[]): string[] =>
    forms.flatMap(({ singular, plural }) => (words.includes(singular) || words.includes(plural) ? [plural] : []));
  const verbs = present([...ENGLISH_LEXICON.clauseVerbs, ...ENGLISH_LEXICON.innerVerbs]);
  return present(ENGLISH_LEXICON.nouns).flatMap((noun) => verbs.map((verb) => `${noun} ${verb}`));
}

describe("pairs of ordinary English", () => {
  it("are what the checked-in files hold", () => {
    for (const [name, text] of files) expect(readFileSync(`data/english-agreement/${name}`, "utf8"), name).toBe(text);
  });

  it("come in every family and split, none twice, with both numbers equally often", () => {
    expect([...files.keys()]).toHaveLength(8);
    for (const name of files.keys()) {
      const rows = rowsOf(name);
      expect(new Set(rows.map((row) => JSON.stringify(row))).size, name).toBe(rows.length);
      const counts = new Map<string, number>();
      for (const row of rows) counts.set(row.case, (counts.get(row.case) ?? 0) + 1);
      expect(new Set(counts.values()).size, name).toBe(1);
    }
  });

  it("are at least 256 of the family that the demo runs", () => {
    expect(rowsOf("rc.test.jsonl").length).toBeGreaterThanOrEqual(256);
  });

  it("share no combination of a noun and a verb between the splits", () => {
    const families = ["simple", "nounpp", "rc", "within_rc"];
    const of = (split: string): string[] =>
      families.flatMap((family) => rowsOf(`${family}.${split}.jsonl`).flatMap(combinations));
    const train = new Set(of("train"));
    expect(of("test").filter((combination) => train.has(combination))).toEqual([]);
    expect(train.size).toBeGreaterThan(500);
  });
});
