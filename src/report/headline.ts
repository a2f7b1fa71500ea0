/** @file The question a run answers and its answer in a few sentences, its weakest place included. */
import { basename } from "node:path";
import { completenessOf, faithfulnessOf } from "./circuit-tables.js";
import { thresholdCircuits, VARIANT_NAMES } from "./circuit-figure.js";
import { formatCorrelation, formatCount } from "./format-number.js";
import { familiesOf, groupLabel, KIND_NAMES } from "./labels.js";
import { markup, type Content, type Markup } from "./markup.js";
import { scoreLabel, sizeOf, type CircuitRow, type Group, type RunContents } from "./run-contents.js";

/** A correlation over fewer nodes is not held against a score. */
const ENOUGH_NODES = 4;
/** Faithfulness that the headline's circuit has to reach. */
const FAITHFUL = 0.8;

/** What was asked. */
export function question(contents: RunContents): string {
  const { plan, run } = contents;
  const asked = [
    ...(plan.sweep.truth === undefined || plan.sweep.scores.length === 0
      ? []
      : [
          `How well does ${listed(plan.sweep.scores.map(({ name }) => scoreLabel(plan, name)))} predict the true effect of patching a node?`,
        ]),
    ...(plan.sweep.circuits === undefined ? [] : ["Which circuit is faithful?"]),
  ];
  const where = `Measured on ${inputName(run.sweep["model"], "the model")} with ${formatCount(plan.prompts.length)} prompts of ${inputName(run.sweep["dataset"], "the dataset")}.`;
  return [...(asked.length === 0 ? ["Scores and mean activations."] : asked), where].join(" ");
}

/** The answer, one paragraph for each part of the question. */
export function answers(contents: RunContents): Markup[] {
  const { plan, groups } = contents;
  const compared = plan.sweep.scores.flatMap(({ name }) => {
    const mine = (groups ?? []).filter(({ score }) => score === name);
    return mine.length === 0 ? [] : [scoreAnswer(scoreLabel(plan, name), mine)];
  });
  return [...compared, ...noiseAnswer(contents), ...circuitAnswer(thresholdCircuits(contents.circuits))];
}

function scoreAnswer(label: string, groups: readonly Group[]): Markup {
  const whole = groups.filter(({ position, pearson }) => position === null && pearson.value !== null);
  const families = familiesOf(whole).map(({ kind, global }) => {
    const sites = whole
      .filter((group) => group.kind === kind && group.global === global)
      .sort((a, b) => (b.pearson.value ?? 0) - (a.pearson.value ?? 0));
    const each = sites.map(({ site, pearson }) => markup`<strong>${formatCorrelation(pearson)}</strong> at ${site}`);
    return markup`${KIND_NAMES[kind]}${global && " patched at all positions at once"}: r = ${joined(each)}`;
  });
  return markup`<strong>${label}</strong> against true effects, ${joined(families, "; ")}. ${weakness(groups)}`;
}

/** The lowest correlation among groups with enough nodes. */
function weakness(groups: readonly Group[]): Content {
  const ranked = groups
    .filter(({ n, pearson }) => n >= ENOUGH_NODES && pearson.value !== null)
    .sort((a, b) => (a.pearson.value ?? 0) - (b.pearson.value ?? 0));
  const worst = ranked[0];
  if (worst === undefined) return null;
  return markup`It does worst for ${groupLabel(worst)}: r = <strong>${formatCorrelation(worst.pearson)}</strong> over ${formatCount(worst.n)} nodes, with the right sign for ${formatCorrelation({ ...worst.sign_agreement, low: null, high: null })} of them.`;
}

/** What the truth's own noise leaves room for. */
function noiseAnswer({ reliability }: RunContents): Markup[] {
  const steppedUp = reliability
    .map((row) => ({ row, value: row.split_half.spearman_brown.value }))
    .filter((one): one is { row: RunContents["reliability"][number]; value: number } => one.value !== null)
    .sort((a, b) => a.value - b.value);
  const lowest = steppedUp[0];
  if (lowest === undefined) return [];
  return [
    markup`The measured effects themselves repeat across prompts at r = ${formatCorrelation({ value: lowest.value, low: null, high: null })} or better (lowest: ${groupLabel(lowest.row)}).`,
  ];
}

function circuitAnswer(rows: readonly CircuitRow[]): Markup[] {
  const whole = rows.filter(({ variant }) => variant === "all").sort((a, b) => sizeOf(a) - sizeOf(b));
  const chosen =
    whole.find(({ faithfulness }) => faithfulness >= FAITHFUL) ??
    [...whole].sort((a, b) => b.faithfulness - a.faithfulness)[0];
  if (chosen === undefined) return [];
  const reached = chosen.faithfulness >= FAITHFUL;
  const complement = Number.isFinite(chosen.completeness)
    ? markup`; the rest of the model without it keeps ${completenessOf(chosen)}`
    : null;
  const others = rows
    .filter(({ variant, threshold }) => variant !== "all" && threshold === chosen.threshold)
    .map((row) => markup`${faithfulnessOf(row)} with ${VARIANT_NAMES[row.variant] ?? row.variant}`);
  return [
    markup`${reached ? `The smallest circuit that recovers at least ${String(FAITHFUL * 100)} % of the metric` : "No circuit recovers 80 % of the metric; the best one"} has <strong>${formatCount(sizeOf(chosen))} nodes</strong> and faithfulness <strong>${faithfulnessOf(chosen)}</strong>${complement}.${others.length > 0 && markup` At the same threshold: ${joined(others)}.`}`,
  ];
}

/** Last part of the path a sweep names. */
function inputName(input: unknown, otherwise: string): string {
  const path = typeof input === "object" && input !== null && "path" in input ? input.path : undefined;
  return typeof path === "string" ? basename(path) : otherwise;
}

function listed(names: readonly string[]): string {
  return names.length < 2 ? (names[0] ?? "") : `${names.slice(0, -1).join(", ")} and ${names.at(-1) ?? ""}`;
}

function joined(parts: readonly Content[], separator = ", "): Content {
  return parts.map((part, i) => [i > 0 && separator, part]);
}
