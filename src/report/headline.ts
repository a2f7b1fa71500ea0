/** @file The question a run answers and its answer in a few sentences, its weakest place included. */
import { basename } from "node:path";
import { KINDS } from "../nodes/kinds.js";
import { completenessOf, faithfulnessOf } from "./circuit-tables.js";
import { sizeOf, thresholdCircuits, type CircuitRow } from "./artifact-rows.js";
import { VARIANT_NAMES, capitalised, familiesOf, groupLabel, scoreLabel, sitesOf } from "./labels.js";
import type { RunContents } from "./run-contents.js";
import { htmlTable, numberColumn, textColumn } from "./table.js";
import type { Group } from "./validation-file.js";
import { isUndefined, undefinedAnswer } from "./undefined-ratios.js";
import { formatCorrelation, formatCount, formatPercent } from "./format-number.js";
import { markup, type Content, type Markup } from "./markup.js";

/** A correlation over fewer nodes is not held against a score. */
const ENOUGH_NODES = 4;
const UNKNOWN = { value: null, low: null, high: null };
/** Faithfulness that the headline's circuit has to reach. */
const FAITHFUL = 0.8;
/** Correlation below which a score is said to fail. */
const GOOD = 0.9;

/** What was asked. */
export function question(contents: RunContents): string {
  const { plan, run } = contents;
  const asked = [
    ...(plan.sweep.truth === undefined || plan.sweep.scores.length === 0
      ? []
      : [
          `How well ${plan.sweep.scores.length > 1 ? "do" : "does"} ${listed(plan.sweep.scores.map(({ name }) => scoreLabel(plan, name)))} predict the true effect of patching a node?`,
        ]),
    ...(plan.sweep.circuits === undefined ? [] : ["Which circuit is faithful?"]),
  ];
  const where = `Measured on ${basename(run.inputs.hub?.model?.repo ?? run.inputs.model)} with ${formatCount(plan.prompts.length)} prompts of ${basename(run.inputs.dataset)}.`;
  return [...(asked.length === 0 ? ["Scores and mean activations."] : asked), where].join(" ");
}

/** The answer, one paragraph for each part of the question. */
export function answers(contents: RunContents): Markup[] {
  const { plan, groups } = contents;
  const first = plan.sweep.scores[0]?.name;
  const mine = (groups ?? []).filter(({ score, global }) => score === first && !global);
  const scored = first === undefined || mine.length === 0 ? [] : [scoreAnswer(scoreLabel(plan, first), mine)];
  return [...scored, ...noiseAnswer(contents), ...circuitAnswer(thresholdCircuits(contents.circuits))];
}

/** Correlations of every score by kind and site, or null where nothing was compared. */
export function glance({ plan, groups }: RunContents): Markup | null {
  const whole = (groups ?? []).filter(({ position }) => position === null);
  if (whole.length === 0) return null;
  const sites = sitesOf(whole);
  const rows = familiesOf(whole).flatMap(({ kind, global }) =>
    plan.sweep.scores.map(({ name }, i) => [
      i === 0 ? markup`${KINDS[kind].plural}${global && ", all positions at once"}` : "",
      scoreLabel(plan, name),
      ...sites.map((site) => {
        const group = whole.find(
          (one) => one.score === name && one.kind === kind && one.global === global && one.site === site,
        );
        return group === undefined ? "" : formatCorrelation(group.pearson);
      }),
    ]),
  );
  return htmlTable(
    "Pearson r of score and true effect [95 % over prompts]",
    [textColumn("nodes"), textColumn("score"), ...sites.map((site) => numberColumn(site))],
    rows,
  );
}

function scoreAnswer(label: string, groups: readonly Group[]): Markup {
  const whole = groups.filter(({ position, pearson }) => position === null && pearson.value !== null);
  const families = familiesOf(whole).map(({ kind }) => {
    const sites = whole
      .filter((group) => group.kind === kind)
      .sort((a, b) => (b.pearson.value ?? 0) - (a.pearson.value ?? 0));
    const [best, last] = [sites[0], sites.at(-1)];
    const rest =
      last === best || last === undefined ? null : markup` down to ${formatCorrelation(last.pearson)} (${last.site})`;
    return markup`for ${KINDS[kind].plural} at <strong>r = ${formatCorrelation(best?.pearson ?? UNKNOWN)}</strong> (${best?.site ?? ""})${rest}`;
  });
  return markup`<strong>${capitalised(label)}</strong> agrees with true patching ${joined(families, "; ")}. ${weakness(groups)}`;
}

/** Where the score fails beyond the chance of few nodes, or else where its estimate is lowest. */
function weakness(groups: readonly Group[]): Content {
  const known = groups.filter(({ n, pearson }) => n >= ENOUGH_NODES && pearson.value !== null);
  const by = (bound: "value" | "high"): Group | undefined =>
    [...known].sort((a, b) => (a.pearson[bound] ?? 1) - (b.pearson[bound] ?? 1))[0];
  const [surest, lowest] = [by("high"), by("value")];
  if (surest === undefined || lowest === undefined) return null;
  const describe = (group: Group): Markup =>
    markup`${groupLabel(group)}, <strong>r = ${formatCorrelation(group.pearson)}</strong> over ${formatCount(group.n)} nodes, the sign right for ${formatPercent(group.sign_agreement.value, 0)}`;
  if ((surest.pearson.high ?? 1) < GOOD) return markup`It fails for ${describe(surest)}.`;
  if ((lowest.pearson.value ?? 1) < GOOD)
    return markup`It is lowest for ${describe(lowest)}; no interval lies wholly below ${formatCorrelation({ ...UNKNOWN, value: GOOD })}.`;
  return markup`At its lowest it is still good: ${describe(lowest)}.`;
}

/** How far the measured effects would repeat on other prompts. */
function noiseAnswer({ reliability }: RunContents): Markup[] {
  const steppedUp = reliability
    .filter(({ global }) => !global)
    // Undefined where halves contradict each other: nothing repeats.
    .flatMap((row) =>
      row.split_half.pearson.value === null ? [] : [{ row, value: row.split_half.spearman_brown.value ?? 0 }],
    )
    .sort((a, b) => a.value - b.value);
  const [lowest, highest] = [steppedUp[0], steppedUp.at(-1)];
  if (lowest === undefined || highest === undefined) return [];
  const shown = (value: number): string => formatCorrelation({ ...UNKNOWN, value: Math.max(0, value) });
  if (shown(lowest.value) === shown(highest.value))
    return [markup`The effects themselves would repeat on other prompts like these at r = ${shown(lowest.value)}.`];
  return [
    markup`The effects themselves would repeat on other prompts like these at r = ${shown(lowest.value)} (${groupLabel(lowest.row)}) to ${shown(highest.value)} (${groupLabel(highest.row)}).`,
  ];
}

function circuitAnswer(rows: readonly CircuitRow[]): Markup[] {
  if (isUndefined(rows)) return [undefinedAnswer(rows)];
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

function listed(names: readonly string[]): string {
  return names.length < 2 ? (names[0] ?? "") : `${names.slice(0, -1).join(", ")} and ${names.at(-1) ?? ""}`;
}

function joined(parts: readonly Content[], separator = ", "): Content {
  return parts.map((part, i) => [i > 0 && separator, part]);
}
