/** @file How well scores predict the truth, in a few sentences, the weakest place included. */

import { must } from "../../../base/assert.js";
import { methodOf } from "../../../methods/score-method.js";
import { KINDS } from "../../../nodes/kinds.js";
import { evaluatedPrompts } from "../../../plan/held-out.js";
import { truthDonorOf } from "../../../plan/node-list.js";
import { counted, formatCorrelation, formatPercent } from "../../../report/format-number.js";
import { scoreLabel, sitesOf, capitalised } from "../../../report/labels.js";
import { type Markup, markup, joined, type Content } from "../../../report/markup.js";
import { ENOUGH_CLUSTERS, FEWEST_CLUSTERS, groupIndexes } from "../../../stats/clusters.js";
import { htmlTable, textColumn, numberColumn } from "../../../report/table.js";
import { DONOR_EFFECTS } from "../score-donors.js";
import { asksNodes, mainScore, type TruthContents } from "./contents.js";
import { familiesOf, groupLabel, measuredOf, truthNote } from "./group-labels.js";
import type { Group } from "./validation-file.js";

/** A correlation over fewer nodes is not held against a score. */
const ENOUGH_NODES = 4;
const UNKNOWN = { value: null, low: null, high: null };
/** What becomes of sets, by the donor. */
const SETS_EFFECTS = {
  corrupted: "patching all nodes of a set",
  mean: "setting all nodes of a set to their means",
  zero: "setting all nodes of a set to zero",
} as const;
/** Correlation below which a score is said to fail. */
const GOOD = 0.9;

/** What was asked; null where neither a score is compared nor a set patched alone. */
export function question(contents: TruthContents): string | null {
  const { plan } = contents;
  const { scores } = plan.sweep;
  const donor = truthDonorOf(plan.sweep);
  if (!asksNodes(contents)) return contents.joint.length === 0 ? null : `What does ${SETS_EFFECTS[donor]} at once do?`;
  if (scores.length === 0) return null;
  const labels = scores.map(({ name }) => scoreLabel(contents, name));
  const effect = donor === "corrupted" ? "patching a node" : DONOR_EFFECTS[donor];
  return `How well ${scores.length > 1 ? "do" : "does"} ${listed(labels)} predict the true effect of ${effect}?`;
}

/** The answer, one paragraph for each part of the question. */
export function answers(contents: TruthContents): Markup[] {
  const { groups } = contents;
  const first = mainScore(contents);
  const own = (groups ?? []).filter(({ score }) => score === first);
  const local = own.filter(({ global }) => !global);
  const mine = local.length > 0 ? local : own;
  const scored = first === undefined || mine.length === 0 ? [] : [scoreAnswer(scoreLabel(contents, first), mine)];
  return [...scored, ...otherDonors(contents), ...noiseAnswer(contents), ...clustersAnswer(contents)];
}

/** Which scores estimate another effect than the one measured, and which. */
function otherDonors(contents: TruthContents): Markup[] {
  const { methods, plan, joint } = contents;
  if (!asksNodes(contents) && joint.length === 0) return [];
  const donor = truthDonorOf(plan.sweep);
  const others = groupIndexes(plan.sweep.scores.map((score) => methodOf(methods, score).donor));
  return [...others].flatMap(([own, scores]) => {
    if (own === donor) return [];
    const labels = scores.map((s) => scoreLabel(contents, must(plan.sweep.scores[s], "score").name));
    return [
      markup`${capitalised(listed(labels))} ${scores.length > 1 ? "estimate" : "estimates"} the effect of ${DONOR_EFFECTS[own]}, and not the measured one of ${DONOR_EFFECTS[donor]}: where the two disagree, no estimate has failed.`,
    ];
  });
}

/** Correlations of every score by kind and site, or null where nothing was compared. */
export function glance(contents: TruthContents): Markup | null {
  const { plan, groups } = contents;
  const whole = (groups ?? []).filter(({ position }) => position === null);
  if (whole.length === 0) return null;
  const sites = sitesOf(whole);
  const rows = familiesOf(whole).flatMap(({ kind, global }) =>
    plan.sweep.scores.map(({ name }, i) => [
      i === 0 ? markup`${KINDS[kind].plural}${global && ", all positions at once"}` : "",
      scoreLabel(contents, name),
      ...sites.map((site) => {
        const group = whole.find(
          (one) => one.score === name && one.kind === kind && one.global === global && one.site === site,
        );
        return group === undefined ? "" : markup`${formatCorrelation(group.weighted.pearson)}${sizeNote(group)}`;
      }),
    ]),
  );
  return htmlTable(
    `Pearson r of score and true effect over each frame of nodes ${truthNote(contents)}`,
    [textColumn("nodes"), textColumn("score"), ...sites.map((site) => numberColumn(site))],
    rows,
  );
}

/** How many nodes were measured, and of how many. */
function sizeNote({ n, frame_size }: Group): Markup {
  return markup` <span class="sub">${measuredOf(n, frame_size)}</span>`;
}

function scoreAnswer(label: string, groups: readonly Group[]): Markup {
  const whole = groups.filter(
    ({ n, layer, position, weighted }) =>
      n >= ENOUGH_NODES && layer === null && position === null && weighted.pearson.value !== null,
  );
  if (whole.length === 0)
    return markup`No group has the ${ENOUGH_NODES} nodes that a correlation of <strong>${label}</strong> with true patching would take, or their effects do not differ.`;
  const families = familiesOf(whole).map(({ kind, global }) => {
    const sites = whole
      .filter((group) => group.kind === kind)
      .sort((a, b) => (b.weighted.pearson.value ?? 0) - (a.weighted.pearson.value ?? 0));
    const [best, last] = [sites[0], sites.at(-1)];
    const rest =
      last === best || last === undefined
        ? null
        : markup` down to ${formatCorrelation(last.weighted.pearson)} (${last.site})`;
    return markup`for ${KINDS[kind].plural}${global && ", all positions at once,"} at <strong>r = ${formatCorrelation(best?.weighted.pearson ?? UNKNOWN)}</strong> (${best?.site ?? ""})${rest}`;
  });
  return markup`<strong>${capitalised(label)}</strong> agrees with true patching ${joined(families, "; ")}. ${weakness(groups)}`;
}

/**
 * Where the score fails beyond the chance of few nodes, or else where its estimate is lowest. The group is picked from many, so its
 * interval is the one that holds for all of them at once.
 */
function weakness(groups: readonly Group[]): Content {
  const known = groups.filter(({ n, weighted }) => n >= ENOUGH_NODES && weighted.pearson.value !== null);
  const by = (bound: (group: Group) => number): Group | undefined => [...known].sort((a, b) => bound(a) - bound(b))[0];
  const surest = by(({ simultaneous_pearson }) => simultaneous_pearson?.high ?? 1);
  const lowest = by(({ weighted }) => weighted.pearson.value ?? 1);
  if (surest === undefined || lowest === undefined) return null;
  const describe = ({ simultaneous_pearson, weighted, ...group }: Group): Markup => {
    const bounded = { ...UNKNOWN, ...simultaneous_pearson, value: weighted.pearson.value };
    const signs = formatPercent(weighted.sign_agreement.value, 0);
    return markup`${groupLabel(group)}, <strong>r = ${formatCorrelation(bounded)}</strong> (${measuredOf(group.n, group.frame_size)}), the sign right for ${signs}`;
  };
  if ((surest.simultaneous_pearson?.high ?? 1) < GOOD)
    return markup`It fails for ${describe(surest)}: of all groups, the one that is surest to be below ${formatCorrelation({ ...UNKNOWN, value: GOOD })}, with an interval that holds for all of them at once.`;
  if ((lowest.weighted.pearson.value ?? 1) < GOOD)
    return markup`It is lowest for ${describe(lowest)}; no interval that holds for all groups at once lies wholly below ${formatCorrelation({ ...UNKNOWN, value: GOOD })}.`;
  if ((lowest.simultaneous_pearson?.low ?? 1) < GOOD)
    return markup`Its lowest estimate is good, but its interval reaches below ${formatCorrelation({ ...UNKNOWN, value: GOOD })}: ${describe(lowest)}.`;
  return markup`At its lowest it is still good: ${describe(lowest)}.`;
}

/** How far intervals can be trusted, where clusters of prompts are few. */
function clustersAnswer({ clusters, groups, plan }: TruthContents): Markup[] {
  if (groups === null || groups.length === 0) return [];
  if (clusters === null)
    return [
      markup`These statistics are of an earlier version: their intervals count prompts one by one and hold the drawn nodes fixed, so they are too narrow.`,
    ];
  const prompts = evaluatedPrompts(plan).length;
  const said = `${counted(prompts, "prompt")} ${prompts === 1 ? "forms" : "form"} ${counted(clusters, "cluster")}`;
  if (clusters < FEWEST_CLUSTERS) return [markup`The ${said}: too few for any interval.`];
  if (clusters < ENOUGH_CLUSTERS)
    return [markup`The ${said}: intervals of agreement over so few are rough, and none of them is called 95 %.`];
  return [];
}

/** How far the measured effects would repeat on other prompts. */
function noiseAnswer({ reliability }: TruthContents): Markup[] {
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
    return [
      markup`The effects themselves would repeat on other such clusters of prompts at r = ${shown(lowest.value)}.`,
    ];
  return [
    markup`The effects themselves would repeat on other such clusters of prompts at r = ${shown(lowest.value)} (${groupLabel(lowest.row)}) to ${shown(highest.value)} (${groupLabel(highest.row)}).`,
  ];
}

function listed(names: readonly string[]): string {
  return names.length < 2 ? (names[0] ?? "") : `${names.slice(0, -1).join(", ")} and ${names.at(-1) ?? ""}`;
}
