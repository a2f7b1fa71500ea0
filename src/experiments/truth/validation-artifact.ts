/** @file `validation.json`: how well each score predicts the true effects, by groups of nodes, and the noise floor. */
import { must } from "../../base/assert.js";
import { RESAMPLES, resampleClusters } from "../../stats/bootstrap.js";
import { clusterMeans, clusterSums, promptClusters, type Clusters, type PromptMatrix } from "../../stats/clusters.js";
import { calibrationBands } from "../../stats/calibration.js";
import { perPromptPearson, perPromptSpread } from "../../stats/per-prompt.js";
import { resampledMeans } from "../../stats/resampled-means.js";
import { simultaneousIntervals } from "../../stats/simultaneous.js";
import {
  closeGroups,
  differenceOf,
  type FamilyGroups,
  familyMeans,
  type GroupAgreement,
  replicateGroups,
  type Replicates,
} from "../../stats/validation.js";
import { spansOf } from "../../plan/span-positions.js";
import { evaluatedPrompts } from "../../plan/held-out.js";
import { truthDonorOf } from "../../plan/node-list.js";
import type { Plan } from "../../plan/plan.js";
import { artifactMetadata, type Provenance } from "../../artifacts/artifact-metadata.js";
import { measuredNodes, strataOf, unmeasuredOf } from "./frame-findings.js";
import type { JointFinding } from "./joint.js";
import type { FamilyReliability } from "./noise-floor.js";
import type { ListedNode } from "./node-table.js";
import { directionOf } from "./truth-artifact.js";
import { matricesOf, type TruthTable } from "./truth-table.js";
import { pickColumns } from "./truth-tasks.js";
import {
  designOf,
  enteringMembers,
  familiesOf,
  firstPatched,
  type Family,
  type Group,
  groupsOf,
} from "./validation-groups.js";

/** What this version writes. */
const VALIDATION_VERSION = 2;
/** Statistics whose differences between scores are given. */
const COMPARED = ["pearson", "spearman", "off"] as const;

/** What `validation.json` says beside the statistics of a table. */
export interface ValidationParts {
  readonly plan: Plan;
  readonly provenance: Provenance;
  /** Donors of scores, by name. */
  readonly donors: ReadonlyMap<string, string>;
  readonly joint: readonly JointFinding[];
  readonly reliability: readonly FamilyReliability[];
}

/** The text of `validation.json`. */
export function validationText(
  { plan, provenance, donors, joint, reliability }: ValidationParts,
  { version, groups, ...statistics }: ValidationStatistics,
): string {
  const donor = truthDonorOf(plan.sweep);
  const content = {
    version,
    metadata: artifactMetadata(provenance, "none", { direction: directionOf(donor) }),
    donor,
    ...statistics,
    groups: groups.map((group) => ({ ...group, score_donor: must(donors.get(group.score), group.score) })),
    reliability,
    ...(joint.length === 0 ? {} : { joint }),
  };
  return `${JSON.stringify(content, null, 1)}\n`;
}

/** The part of a plan that statistics hang on. */
type StatisticsPlan = Pick<Plan, "prompts" | "evaluated" | "sweep">;

/** All of `validation.json` that effects and scores say. */
export type ValidationStatistics = ReturnType<typeof statisticsOf>;

/** {@link statisticsOf} of a table in memory. */
export function validationStatistics(
  plan: StatisticsPlan,
  table: TruthTable,
  resamples = RESAMPLES,
): ValidationStatistics {
  const clusters = promptClusters(evaluatedPrompts(plan));
  const matrices = matricesOf(table);
  const sums = matrices.map((matrix) => clusterSums(matrix, clusters));
  const estimate = sums.map((own) => clusterMeans(own, null));
  const { count, times } = resampleClusters(clusters, resamples, plan.sweep.seed);
  const families = preparedFamilies(plan, table.nodes, estimate);
  const resampled = sums.map((own) => resampledMeans(own, times));
  const validated = families.map((family) => {
    const means = familyMeans(resampled.map((all) => pickColumns(all, table.nodes.length, family.members)));
    const replicates = replicateGroups(family.grouped, means, [0, count]);
    return validatedFamily(family, estimate, replicates, {
      clusters: clusters.count,
      correlations: promptCorrelations(matrices, family),
    });
  });
  return statisticsOf(plan, [...table.scores.keys()], validated);
}

/** All of `validation.json` that families say. @param scores - their names. */
export function statisticsOf(plan: StatisticsPlan, scores: readonly string[], validated: readonly ValidatedFamily[]) {
  const prompts = evaluatedPrompts(plan);
  const clusters = promptClusters(prompts);
  return {
    version: VALIDATION_VERSION,
    prompts: prompts.length,
    clusters: clusters.count,
    groups: withSpans(withSimultaneous(scores, validated, clusters), plan.sweep),
    differences: withSpans(validated.flatMap(differencesOf(scores, clusters)), plan.sweep),
    unmeasured: validated.flatMap(({ unmeasured }) => unmeasured),
  };
}

/** Groups of a position with the name of its span, where rows have spans. */
function withSpans<Named extends object>(groups: readonly Named[], sweep: Plan["sweep"]): Named[] {
  const spans = spansOf(sweep);
  return groups.map((group) =>
    spans !== undefined && "position" in group && typeof group.position === "number"
      ? { ...group, span: spans[group.position] }
      : group,
  );
}

/** A family with its groups, before its statistics. */
export interface PreparedFamily extends Family {
  readonly own: readonly ListedNode[];
  readonly groups: readonly Group[];
  /** Members of all groups together, as places in the list of members. */
  readonly all: readonly number[];
  readonly grouped: FamilyGroups;
}

/** The families of a list, and which of their nodes enter. @param estimate - mean effects, then mean scores, `[N]` each. */
export function preparedFamilies(
  plan: StatisticsPlan,
  nodes: readonly ListedNode[],
  estimate: readonly Float64Array[],
): PreparedFamily[] {
  const first = firstPatched(plan.sweep, evaluatedPrompts(plan));
  return familiesOf(nodes).map((family) => {
    const own = family.members.map((n) => must(nodes[n], "node"));
    const means = estimate.map((all) => pickColumns(all, nodes.length, family.members));
    const groups = groupsOf(family, nodes, enteringMembers(own, means, first));
    const { members: all } = must(groups.find(({ layer, position }) => layer === null && position === null), "whole family"); // prettier-ignore
    const grouped = { design: designOf(family, nodes), groups: groups.map(({ members }) => members), seed: plan.sweep.seed }; // prettier-ignore
    return { ...family, own, groups, all, grouped };
  });
}

/**
 * For each score, how it agrees with the effects prompt by prompt over a family's nodes, `[P]`.
 * @param matrices - effects, then each score, of all listed nodes on some prompts.
 */
export function promptCorrelations(
  [effects, ...scores]: readonly PromptMatrix[],
  { members, all, grouped }: PreparedFamily,
): Float64Array[] {
  const truth = must(effects, "effects");
  const weights = new Float64Array(truth.nodes);
  members.forEach((n, i) => (weights[n] = must(grouped.design.weights[i], "weight")));
  const entering = all.map((i) => must(members[i], "member"));
  return scores.map((score) => perPromptPearson(truth, score, weights, entering));
}

/** A family with the statistics of its groups. */
export interface ValidatedFamily {
  readonly names: Pick<Family, "kind" | "site" | "global">;
  readonly groups: readonly Group[];
  /** For each score, one for each group. */
  readonly agreements: readonly (readonly GroupAgreement[])[];
  /** For each score: what is said of all of the family's nodes together. */
  readonly whole: readonly object[];
  readonly unmeasured: readonly object[];
}

/**
 * The statistics of a family.
 * @param estimate - mean effects, then mean scores, of all listed nodes.
 * @param replicates - of the family's groups.
 */
export function validatedFamily(
  { kind, site, global, members, own, groups, all, grouped }: PreparedFamily,
  estimate: readonly Float64Array[],
  replicates: Replicates,
  { clusters, correlations }: { readonly clusters: number; readonly correlations: readonly Float64Array[] },
): ValidatedFamily {
  const nodes = must(estimate[0], "effects").length;
  const { truth: effects, scores } = familyMeans(estimate.map((means) => pickColumns(means, nodes, members)));
  const found = closeGroups(grouped, { truth: effects, scores }, replicates, clusters);
  const measured = scores.map((score) => measuredNodes(own, all, { effects, scores: score }));
  const { weights } = grouped.design;
  return {
    names: { kind, site, global },
    groups,
    agreements: found.map((agreements) => agreements.map((one, g) => kept(one, must(groups[g], "group")))),
    whole: scores.map((score, s) => ({
      strata: strataOf(must(measured[s], "score")),
      calibration: calibrationBands({ effects, scores: score, weights, members: all }),
      per_prompt: perPromptSpread(must(correlations[s], "score")),
    })),
    unmeasured: unmeasuredOf(measured[0] ?? []).map((one) => ({ kind, site, global, ...one })),
  };
}

/** Replicates are kept where something is made of them, as a copy: those of all groups may be as large as the means. */
function kept(agreement: GroupAgreement, { layer }: Group): GroupAgreement {
  const copied = Object.entries(agreement.replicates).map(
    ([name, values]) => [name, layer === null ? values.slice() : new Float64Array(0)] as const,
  );
  return { ...agreement, replicates: Object.fromEntries(copied) as GroupAgreement["replicates"] };
}

/** The groups of every score; correlations of whole families have intervals that hold together as well. */
function withSimultaneous(
  scores: readonly string[],
  families: readonly ValidatedFamily[],
  clusters: Clusters,
): ({ readonly score: string } & object)[] {
  return scores.flatMap((score, s) => {
    const isHeld = ({ layer }: Group, { frame }: GroupAgreement): boolean => layer === null && frame.pearson.low !== null; // prettier-ignore
    const rows = families.flatMap(({ names, groups, agreements, whole }) =>
      groups.map((group, g) => ({ names, group, found: must(agreements[s]?.[g], "agreement"), whole: whole[s] })),
    );
    const held = rows.filter(({ group, found }) => isHeld(group, found));
    const bounds = simultaneousIntervals(
      held.map(({ found }) => ({
        value: found.frame.pearson.value ?? Number.NaN,
        replicates: found.replicates.pearson,
      })),
      clusters.count,
    );
    const boundsOf = new Map(held.map(({ found }, i) => [found, bounds[i] ?? null]));
    return rows.map(({ names: { kind, site, global }, group: { layer, position }, found, whole }) => ({
      score,
      kind,
      site,
      layer,
      position,
      global,
      n: found.n,
      frame_size: found.frameSize,
      ...found.sample,
      weighted: found.frame,
      simultaneous_pearson: boundsOf.get(found) ?? null,
      ...(layer === null && position === null ? whole : {}),
    }));
  });
}

/** Paired differences between scores, for the groups of all layers. */
function differencesOf(scores: readonly string[], { count }: Clusters): (family: ValidatedFamily) => object[] {
  return ({ names, groups, agreements }) =>
    scores.flatMap((first, f) =>
      scores.slice(f + 1).flatMap((second, after) =>
        groups.flatMap(({ layer, position }, g) => {
          const [a, b] = [must(agreements[f]?.[g], first), must(agreements[f + 1 + after]?.[g], second)];
          if (layer !== null) return [];
          const differences = COMPARED.map((name) => [name, differenceOf(a, b, name, count)]);
          return [{ first, second, ...names, position, n: a.n, weighted: Object.fromEntries(differences) as object }];
        }),
      ),
    );
}
