/**
 * @file Rows that ask a question: multiple choice, and true or false. Each becomes a plain prompt with one true answer.
 *
 * - Multiple choice: `Question: <question>`, a line `<label>. <text>` for each choice, `Answer:`. The answers are the labels.
 * - True or false: `<statement> True or false? Answer:`. The answers are `True` and `False`.
 *
 * Each answer begins with a space, as the next word of a text does. In a chat, where it begins a reply, the space goes.
 */
import { z } from "zod";
import { badInput, type ErrorDetail } from "../base/errors.js";
import { checked } from "../base/read-file.js";

/** A question as a prompt. */
export interface Question {
  /** What a template puts together, by name. */
  readonly parts: Readonly<Record<string, string>>;
  readonly prompt: string;
  readonly trueAnswer: string;
  readonly falseAnswers: readonly string[];
}

const text = z.string().min(1, "expected a text, got an empty one");

/** As CommonsenseQA is published: the question holds its choices. */
const nestedSchema = z.object({
  question: z.object({ stem: text, choices: z.array(z.object({ label: text, text })) }),
  answerKey: z.string(),
});
/** As data sets of Hugging Face hold it: labels and texts are lists. */
const flatSchema = z.object({
  question: text,
  choices: z.object({ label: z.array(text), text: z.array(text) }),
  answerKey: z.string(),
});

const statementSchema = z.object({
  statement: text,
  label: z.union([z.boolean(), z.literal(1), z.literal(0), z.literal("true"), z.literal("false")], {
    error: ({ input }) =>
      `expected true, false, 1 or 0, got ${input === undefined ? "nothing: the field is missing" : JSON.stringify(input)}`,
  }),
});

/** Reads a row of multiple choice in either form. @throws PatchbayError `bad_input` naming file, line and field. */
export function choiceQuestion(row: Readonly<Record<string, unknown>>, where: ErrorDetail): Question {
  const { stem, labels, texts, answerKey, field } = choicesIn(row, where);
  const fault = (name: string, message: string): Error => badInput(message, { ...where, field: name });
  if (labels.length !== texts.length)
    throw fault(field, `expected as many labels as texts, got ${String(labels.length)} and ${String(texts.length)}`);
  if (labels.length < 2) throw fault(field, `expected at least two choices, got ${String(labels.length)}`);
  const twice = labels.find((label, i) => labels.indexOf(label) !== i);
  if (twice !== undefined) throw fault(field, `expected a label of its own for each choice, got ${twice} twice`);
  if (!labels.includes(answerKey))
    throw fault("answerKey", `expected one of ${labels.join(", ")}, got ${JSON.stringify(answerKey)}`);
  const choices = labels.map((label, i) => `${label}. ${texts[i] ?? ""}`).join("\n");
  return {
    parts: { question: stem, choices },
    prompt: `Question: ${stem}\n${choices}\nAnswer:`,
    trueAnswer: ` ${answerKey}`,
    falseAnswers: labels.filter((label) => label !== answerKey).map((label) => ` ${label}`),
  };
}

/** What both forms say. */
interface Choices {
  readonly stem: string;
  readonly labels: readonly string[];
  readonly texts: readonly string[];
  readonly answerKey: string;
  /** The field that holds the choices. */
  readonly field: string;
}

function choicesIn(row: Readonly<Record<string, unknown>>, where: ErrorDetail): Choices {
  if (typeof row["question"] === "object" && row["question"] !== null) {
    const { question, answerKey } = checked(row, nestedSchema, where);
    const labels = question.choices.map(({ label }) => label);
    const texts = question.choices.map((choice) => choice.text);
    return { stem: question.stem, labels, texts, answerKey, field: "question.choices" };
  }
  const { question, choices, answerKey } = checked(row, flatSchema, where);
  return { stem: question, labels: choices.label, texts: choices.text, answerKey, field: "choices" };
}

/** Reads a row of true or false. @throws PatchbayError `bad_input` naming file, line and field. */
export function statementQuestion(row: Readonly<Record<string, unknown>>, where: ErrorDetail): Question {
  const { statement, label } = checked(row, statementSchema, where);
  const isTrue = label === true || label === 1 || label === "true";
  const [trueAnswer, falseAnswer] = isTrue ? [" True", " False"] : [" False", " True"];
  return {
    parts: { statement },
    prompt: `${statement} True or false? Answer:`,
    trueAnswer,
    falseAnswers: [falseAnswer],
  };
}
