/** @file Rows of multiple choice and of true or false: the prompts that they make, in plain text and as a chat, and their faults. */
import { cpSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { PatchbayError } from "../../../src/base/errors.js";
import { GEMMA2 } from "../../../src/families/gemma2.js";
import { asChat } from "../../../src/prompts/chat-rows.js";
import { toPrompts } from "../../../src/prompts/prompts.js";
import { type DatasetRow, readDataset } from "../../../src/prompts/rows.js";
import { byTemplate } from "../../../src/prompts/template-rows.js";
import { openTokenizer } from "../../../src/prompts/tokenizer.js";
import { temporaryFolder } from "../weights/temporary-folder.js";

const MODEL = "test/fixtures/tiny-a/model";
const tokenizer = openTokenizer(MODEL, GEMMA2.bos);

const NESTED = {
  id: "1",
  question: {
    stem: "The cat sees the",
    question_concept: "cat",
    choices: [
      { label: "A", text: "dog" },
      { label: "B", text: "king" },
      { label: "C", text: "cow" },
    ],
  },
  answerKey: "B",
};
const FLAT = {
  question: "The cat sees the",
  choices: { label: ["A", "B", "C"], text: ["dog", "king", "cow"] },
  answerKey: "B",
};
const CHOICE_PROMPT = "Question: The cat sees the\nA. dog\nB. king\nC. cow\nAnswer:";
const STATEMENT = { statement: "The cat sees the dog.", label: true };

function read(...rows: object[]): DatasetRow[] {
  const path = join(temporaryFolder(), "rows.jsonl");
  writeFileSync(path, rows.map((row) => JSON.stringify(row)).join("\n"));
  return readDataset(path);
}

function faultOf(row: object): string {
  try {
    read(STATEMENT, row);
  } catch (thrown) {
    if (thrown instanceof PatchbayError) return thrown.message.replace(/^.*?rows\.jsonl/, "rows.jsonl");
    throw thrown;
  }
  throw new Error("the row was accepted");
}

describe("multiple choice", () => {
  test.each([
    ["as CommonsenseQA is published", NESTED],
    ["with choices as lists", FLAT],
  ])("%s is a plain prompt with one true answer", (_form, row) => {
    expect(read({ ...row, cluster: "cat" })).toEqual([
      {
        file: "rows.jsonl",
        line: 1,
        kind: "multiple choice",
        parts: { question: "The cat sees the", choices: "A. dog\nB. king\nC. cow" },
        prompt: CHOICE_PROMPT,
        trueAnswer: " B",
        falseAnswers: [" A", " C"],
        cluster: "cat",
      },
    ]);
  });

  test.each([
    [{ ...FLAT, answerKey: "D" }, 'rows.jsonl:2: answerKey: expected one of A, B, C, got "D"'],
    [{ ...FLAT, answerKey: undefined }, "rows.jsonl:2: answerKey: expected string, got nothing"],
    [{ ...FLAT, choices: undefined }, "rows.jsonl:2: choices: expected object, got nothing"],
    [
      { ...FLAT, choices: { label: ["A", "B"], text: ["x"] } },
      "rows.jsonl:2: choices: expected as many labels as texts",
    ],
    [
      { ...FLAT, choices: { label: ["A", "A"], text: ["x", "y"] } },
      "rows.jsonl:2: choices: expected a label of its own",
    ],
    [
      { ...FLAT, choices: { label: ["B"], text: ["x"] } },
      "rows.jsonl:2: choices: expected at least two choices, got 1",
    ],
    [{ ...NESTED, question: { stem: "x" } }, "rows.jsonl:2: question.choices: expected array, got nothing"],
    [{ ...NESTED, question: { ...NESTED.question, stem: "" } }, "rows.jsonl:2: question.stem: expected a text"],
    [{ ...FLAT, cluster: 3 }, "rows.jsonl:2: cluster: expected string"],
  ])("with a fault is refused with line and field: %j", (row, message) => {
    expect(faultOf(row)).toContain(message);
  });
});

describe("true or false", () => {
  test.each([
    [true, " True", " False"],
    ["true", " True", " False"],
    [1, " True", " False"],
    [false, " False", " True"],
    ["false", " False", " True"],
    [0, " False", " True"],
  ])("%j makes %j the true answer", (label, trueAnswer, falseAnswer) => {
    expect(read({ ...STATEMENT, label })).toEqual([
      {
        file: "rows.jsonl",
        line: 1,
        kind: "true or false",
        parts: { statement: "The cat sees the dog." },
        prompt: "The cat sees the dog. True or false? Answer:",
        trueAnswer,
        falseAnswers: [falseAnswer],
      },
    ]);
  });

  test.each([
    [{ statement: "x", label: 2 }, "rows.jsonl:2: label: expected true, false, 1 or 0, got 2"],
    [{ statement: "x" }, "rows.jsonl:2: label: expected true, false, 1 or 0, got nothing: the field is missing"],
    [{ statement: "", label: true }, "rows.jsonl:2: statement: expected a text"],
  ])("with a fault is refused with line and field: %j", (row, message) => {
    expect(faultOf(row)).toContain(message);
  });
});

test("questions, statements and plain prompts are not mixed in one dataset", () => {
  expect(faultOf(FLAT)).toContain(
    "rows.jsonl:2: expected a true or false row as in rows.jsonl:1, got a multiple choice row",
  );
});

describe("a template", () => {
  test("is the prompt, with a question's parts filled in", () => {
    const template = "Q: One?\nB\nQ: {question}?\n{choices}\nA:";
    expect(byTemplate(read(FLAT), template)).toMatchObject([
      { prompt: "Q: One?\nB\nQ: The cat sees the?\nA. dog\nB. king\nC. cow\nA:", trueAnswer: " B" },
    ]);
    expect(byTemplate(read({ ...STATEMENT, statement: "$& {question}" }), "{statement}:")).toMatchObject([
      { prompt: "$& {question}:" },
    ]);
  });

  test.each([
    [FLAT, "{statement}", "expected {question} and {choices} in the template, got {statement}"],
    [FLAT, "{Question} {choices}", "expected {question} and {choices} in the template, got {Question}"],
    [STATEMENT, "True or false?", "expected {statement} in the template, got none of them"],
    [{ prompt: "The cat", true_answer: " is", false_answer: " are" }, "{question}", "the dataset has plain rows"],
  ])("for %j is refused where it is %j", (row, template, message) => {
    expect(() => byTemplate(read(row), template)).toThrow(message);
  });
});

describe("a chat", () => {
  const userTurn = (text: string): string => `<start_of_turn>user\n${text}<end_of_turn>\n<start_of_turn>model\n`;

  test("is a user's turn with the opening of a reply, BOS once, and answers that begin it", () => {
    const rows = asChat(read(FLAT), tokenizer);
    expect(rows).toMatchObject([{ prompt: userTurn(CHOICE_PROMPT), trueAnswer: "B", falseAnswers: ["A", "C"] }]);
    const [prompt] = toPrompts(rows, tokenizer).prompts;
    const chat = tokenizer.chat([{ role: "user", content: CHOICE_PROMPT }], true);
    expect(prompt?.clean).toEqual(chat.ids);
    expect(prompt?.clean.filter((id) => id === tokenizer.start[0])).toHaveLength(1);
    expect([prompt?.correct, ...(prompt?.incorrect ?? [])].map((id) => tokenizer.textOf(id ?? 0))).toEqual([
      "B",
      "A",
      "C",
    ]);
  });

  test("has BOS where the template leaves it out", () => {
    const folder = temporaryFolder();
    cpSync(MODEL, folder, { recursive: true, filter: (path) => !path.endsWith(".safetensors") });
    writeFileSync(join(folder, "chat_template.jinja"), "{{ messages[0]['content'] }}\n");
    const bare = openTokenizer(folder, GEMMA2.bos);
    const [prompt] = toPrompts(asChat(read(FLAT), bare), bare).prompts;
    expect(prompt?.clean.filter((id) => id === bare.start[0])).toHaveLength(1);
    expect(prompt?.clean[0]).toBe(bare.start[0]);
    rmSync(join(folder, "chat_template.jinja"));
    expect(() => asChat(read(FLAT), openTokenizer(folder, GEMMA2.bos))).toThrow(
      "expected a chat template in the folder",
    );
  });

  test("renders both sides of pairs, and leaves answers that a row writes as they are", () => {
    const pair = { clean_prefix: "The cat", patch_prefix: "The cats", clean_answer: " is", patch_answer: " are" };
    expect(asChat(read(pair), tokenizer)).toMatchObject([
      {
        cleanPrefix: userTurn("The cat"),
        patchPrefix: userTurn("The cats"),
        cleanAnswer: " is",
        patchAnswers: [" are"],
      },
    ]);
    const plain = { prompt: "The cat", true_answer: " is", false_answer: " are" };
    expect(asChat(read(plain), tokenizer)).toMatchObject([{ prompt: userTurn("The cat"), trueAnswer: " is" }]);
  });
});

test("answers of several tokens are dropped as in other rows", () => {
  const { prompts, dropped } = toPrompts([...read(STATEMENT), ...read(FLAT)], tokenizer);
  expect(prompts).toHaveLength(1);
  expect(dropped.map(({ reason }) => reason)).toEqual(["multi_token_answer"]);
});
