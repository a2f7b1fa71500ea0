/** @file Rows to prompts: the golden ids, the reasons for dropped rows, and the limit. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { readDataset, type DatasetRow, type PairRow } from "../../../src/prompts/rows.js";
import { checkTokenIds, toPrompts } from "../../../src/prompts/prompts.js";
import { GEMMA2 } from "../../../src/families/gemma2.js";
import { openTokenizer } from "../../../src/prompts/tokenizer.js";

const TINY_A = "test/fixtures/tiny-a";
const tokenizer = openTokenizer(`${TINY_A}/model`, GEMMA2.bos);

interface GoldenPair {
  readonly clean_ids: number[];
  readonly patch_ids: number[];
  readonly clean_answer_id: number;
  readonly patch_answer_id: number;
  readonly clean_answer_pos: number;
}
interface Golden {
  readonly pairs: GoldenPair[];
  readonly mixed: GoldenPair[];
  readonly plain: { ids: number[]; true_answer_id: number; false_answer_id: number }[];
  readonly faults: { dropped: { line: number; reason: string }[]; kept_lines: number[] };
}
const golden = JSON.parse(readFileSync(`${TINY_A}/expected/tokens.json`, "utf8")) as Golden;

const dataset = (name: string): DatasetRow[] => readDataset(`${TINY_A}/data/${name}.jsonl`);

/** A pair that is kept as it stands. */
const PAIR: PairRow = {
  kind: "pair",
  file: "x.jsonl",
  line: 1,
  cleanPrefix: "The boy that the girl likes",
  patchPrefix: "The boys that the girl likes",
  cleanAnswer: " is",
  patchAnswers: [" are"],
};

const reasonsOf = (...rows: DatasetRow[]): string[] =>
  toPrompts([PAIR, ...rows], tokenizer).dropped.map(({ reason }) => reason);

describe("golden ids", () => {
  test.each(["pairs", "mixed"] as const)("%s", (name) => {
    const { prompts, dropped } = toPrompts(dataset(name === "pairs" ? "pairs" : "pairs-mixed-lengths"), tokenizer);
    expect(dropped).toEqual([]);
    expect(prompts).toEqual(
      golden[name].map((pair, at) => ({
        line: at + 1,
        clean: pair.clean_ids,
        corrupted: pair.patch_ids,
        correct: pair.clean_answer_id,
        incorrect: [pair.patch_answer_id],
      })),
    );
    for (const [at, { clean }] of prompts.entries()) expect(clean.length - 1).toBe(golden[name][at]?.clean_answer_pos);
  });

  test("plain", () => {
    const { prompts } = toPrompts(dataset("plain"), tokenizer);
    expect(prompts).toEqual(
      golden.plain.map(({ ids, true_answer_id, false_answer_id }, at) => ({
        line: at + 1,
        clean: ids,
        corrupted: null,
        correct: true_answer_id,
        incorrect: [false_answer_id],
      })),
    );
  });

  test("faults are dropped with the golden reasons, in file order", () => {
    const { prompts, dropped } = toPrompts(dataset("pairs-with-faults"), tokenizer);
    expect(dropped).toEqual(golden.faults.dropped.map((row) => ({ file: "pairs-with-faults.jsonl", ...row })));
    expect(prompts.map(({ line }) => line)).toEqual(golden.faults.kept_lines);
  });
});

describe("reasons", () => {
  test("the first check that fails is the reason", () => {
    const longer = { ...PAIR, patchPrefix: "The old boys that the girls like", patchAnswers: ["s"] };
    expect(reasonsOf({ ...longer, cleanAnswer: " is not" })).toEqual(["multi_token_answer"]);
    expect(reasonsOf(longer)).toEqual(["unequal_length"]);
  });

  test("an empty answer is not one token", () => {
    expect(reasonsOf({ ...PAIR, cleanAnswer: "" })).toEqual(["multi_token_answer"]);
  });

  test("each of several incorrect answers is checked", () => {
    const many = { ...PAIR, patchPrefix: "The boys that the girls like", cleanPrefix: "The boy that the girls like" };
    expect(reasonsOf({ ...many, patchAnswers: [" are", " is not"] })).toEqual(["multi_token_answer"]);
    expect(reasonsOf({ ...many, patchAnswers: [" are", "s"] })).toEqual(["merge"]);
    const { prompts } = toPrompts([{ ...many, patchAnswers: [" are", " have"] }], tokenizer);
    expect(prompts[0]?.incorrect).toHaveLength(2);
  });

  test("plain rows are checked for answers and merges", () => {
    const plain = { kind: "plain", file: "x.jsonl", line: 2, prompt: "The boys like", trueAnswer: " is" } as const;
    const reason = (trueAnswer: string, ...falseAnswers: string[]): string[] =>
      toPrompts(
        [
          { ...plain, falseAnswers: [" are"] },
          { ...plain, trueAnswer, falseAnswers },
        ],
        tokenizer,
      ).dropped.map((row) => row.reason);
    expect(reason(" is", " is not")).toEqual(["multi_token_answer"]);
    expect(reason("s", " are")).toEqual(["merge"]);
    expect(reason(" is", " are", "s")).toEqual(["merge"]);
    expect(reason(" is", " are", " has")).toEqual([]);
  });
});

test("of a family whose prompts have no BOS, the same rows are kept and dropped, and prompts lack their first token alone", () => {
  const bare = openTokenizer(`${TINY_A}/model`, { kind: "none" });
  for (const name of ["pairs-mixed-lengths", "pairs-with-faults"]) {
    const [withBos, without] = [toPrompts(dataset(name), tokenizer), toPrompts(dataset(name), bare)];
    expect(without.dropped).toEqual(withBos.dropped);
    expect(without.prompts).toEqual(
      withBos.prompts.map((prompt) => ({
        ...prompt,
        clean: prompt.clean.slice(1),
        corrupted: prompt.corrupted?.slice(1),
      })),
    );
  }
});

describe("limit", () => {
  test("it counts survivors, and rows behind the last of them are neither kept nor dropped", () => {
    const { prompts, dropped } = toPrompts(dataset("pairs-with-faults"), tokenizer, 2);
    expect(prompts.map(({ line }) => line)).toEqual([1, 5]);
    expect(dropped.map(({ line }) => line)).toEqual([2, 3, 4]);
  });

  test("more than there are keeps all", () => {
    expect(toPrompts(dataset("pairs"), tokenizer, 1000).prompts).toHaveLength(24);
  });
});

test("nothing left is an error that counts the reasons", () => {
  const rows = dataset("pairs-with-faults").filter(({ line }) => !golden.faults.kept_lines.includes(line));
  expect(() => toPrompts(rows, tokenizer)).toThrow(
    "expected at least one usable row, got none: all 6 were dropped (multi_token_answer 2, unequal_length 2, merge 2)",
  );
});

test("a token without an embedding is refused, in a prompt or an answer, with the dataset's line", () => {
  const prompt = { line: 3, clean: [2, 5], corrupted: [2, 6], correct: 7, incorrect: [8] };
  expect(() => {
    checkTokenIds([prompt], 9, "model");
  }).not.toThrow();
  for (const changes of [{ clean: [2, 9] }, { corrupted: [9, 2] }, { correct: 9 }, { incorrect: [8, 9] }])
    expect(() => {
      checkTokenIds([{ ...prompt, ...changes }], 9, "model");
    }).toThrow("model: expected tokens below 9, config.json's vocab_size, got 9 in line 3 of the dataset");
});
