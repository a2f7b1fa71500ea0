/** @file `validation.json`: how well each score predicts the true effects, by groups of nodes, and the noise floor. */
import { must } from "../../base/assert.js";
import { RESAMPLES } from "../../stats/bootstrap.js";
import { promptClusters, type Clusters } from "../../stats/clusters.js";
import { calibrationBands } from "../../stats/calibration.js";
import { perPromptPearson } from "../../stats/per-prompt.js";
import { simultaneousIntervals } from "../../stats/simultaneous.js";
import { differenceOf, validateFamily, type GroupAgreement } from "../../stats/validation.js";
import { spansOf } from "../../plan/span-positions.js";
import { evaluatedPrompts } from "../../plan/held-out.js";
import { truthDonorOf } from "../../plan/node-list.js";
import type { Plan } from "../../plan/plan.js";
import { artifactMetadata, type Provenance } from "../../artifacts/artifact-metadata.js";
import type { RecordSource } from "../../artifacts/stage-records.js";
import { measuredNodes, strataOf, unmeasuredOf } from "./frame-findings.js";
import type { JointFinding } from "./joint.js";
import { noiseFloors } from "./noise-floor.js";
import { directionOf } from "./truth-artifact.js";
import type { TruthTable } from "./truth-table.js";
import {
  designOf,
  effectsOf,
  enteringMembers,
  familiesOf,
  firstPatched,
  type Family,
  type Group,
  groupsOf,
  scoresOf,
} from "./validation-groups.js";

/** What this version writes. */
const VALIDATION_VERSION = 2;
/** Statistics whose differences between scores are given. */
const COMPARED = ["pearson", "spearman", "off"] as const;

/** What `validation.json` says beside the statistics of a table. */
export interface ValidationParts {
  readonly source: RecordSource;
  readonly provenance: Provenance;
  /** Donors of scores, by name. */
  readonly donors: ReadonlyMap<string, string>;
  readonly joint: readonly JointFinding[];
}

/** Computes every group's statistics: the text of `validation.json`. */
export async function validationText(
  { source, provenance, donors, joint }: ValidationParts,
  table: TruthTable,
): Promise<string> {
  const { version, groups, ...statistics } = validationStatistics(source.plan, table);
  const donor = truthDonorOf(source.plan.sweep);
  const reliability = await noiseFloors(
    source,
    table,
    familiesOf(table.nodes),
    promptClusters(evaluatedPrompts(source.plan)),
  );
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

/** All of `validation.json` that a table of effects and scores says. */
export function validationStatistics(
  plan: Pick<Plan, "prompts" | "evaluated" | "sweep">,
  table: TruthTable,
  resamples = RESAMPLES,
) {
  const prompts = evaluatedPrompts(plan);
  const clusters = promptClusters(prompts);
  const context = { clusters, seed: plan.sweep.seed, first: firstPatched(plan.sweep, prompts), resamples };
  const validated = familiesOf(table.nodes).map((family) => validate(table, family, context));
  return {
    version: VALIDATION_VERSION,
    prompts: prompts.length,
    clusters: clusters.count,
    groups: withSpans(withSimultaneous([...table.scores.keys()], validated, clusters), plan.sweep),
    differences: withSpans(validated.flatMap(differencesOf(clusters)), plan.sweep),
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

/** What is the same for all families. */
interface Context {
  readonly clusters: Clusters;
  readonly seed: number;
  /** Number of bootstrap resamples. */
  readonly resamples: number;
  /** Before it no patch changes anything. */
  readonly first: number;
}

/** A family with the statistics of its groups. */
interface ValidatedFamily {
  readonly names: Pick<Family, "kind" | "site" | "global">;
  readonly groups: readonly Group[];
  /** By score; one for each group. */
  readonly agreements: ReadonlyMap<string, readonly GroupAgreement[]>;
  /** By score: what is said of all of the family's nodes together. */
  readonly whole: ReadonlyMap<string, object>;
  readonly unmeasured: readonly object[];
}

function validate(table: TruthTable, family: Family, { clusters, seed, resamples, first }: Context): ValidatedFamily {
  const { kind, site, global } = family;
  const [truth, scores] = [effectsOf(table, family), scoresOf(table, family)];
  const design = designOf(family, table.nodes);
  const own = family.members.map((n) => must(table.nodes[n], "node"));
  const entering = enteringMembers(own, [truth, ...scores.values()], { clusters, first });
  const groups = groupsOf(family, table.nodes, entering);
  const all = must(groups.find(({ layer, position }) => layer === null && position === null), "whole family").members; // prettier-ignore
  const found = validateFamily({
    truth,
    scores: [...scores.values()],
    clusters,
    design,
    groups: groups.map(({ members }) => members),
    seed,
    resamples,
  });
  const names = [...scores.keys()];
  const measured = new Map(
    [...scores].map(([name, score]) => [name, measuredNodes(own, all, { truth, score, clusters })]),
  );
  const whole = new Map(
    [...scores].map(([name, score]) => [
      name,
      {
        strata: strataOf(must(measured.get(name), name)),
        calibration: calibrationBands({ truth, score, clusters, weights: design.weights, members: all }),
        per_prompt: perPromptPearson(truth, score, design.weights, all),
      },
    ]),
  );
  return {
    names: { kind, site, global },
    groups,
    agreements: new Map(names.map((name, s) => [name, must(found[s], name)])),
    whole,
    unmeasured: unmeasuredOf([...measured.values()][0] ?? []).map((one) => ({ kind, site, global, ...one })),
  };
}

/** The groups of every score; correlations of whole families have intervals that hold together as well. */
function withSimultaneous(
  scores: readonly string[],
  families: readonly ValidatedFamily[],
  clusters: Clusters,
): ({ readonly score: string } & object)[] {
  return scores.flatMap((score) => {
    const isHeld = ({ layer }: Group, { frame }: GroupAgreement): boolean => layer === null && frame.pearson.low !== null; // prettier-ignore
    const rows = families.flatMap(({ names, groups, agreements, whole }) =>
      groups.map((group, g) => ({ names, group, found: must(agreements.get(score)?.[g], "agreement"), whole })),
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
      ...(layer === null && position === null ? whole.get(score) : {}),
    }));
  });
}

/** Paired differences between scores, for the groups of all layers. */
function differencesOf({ count }: Clusters): (family: ValidatedFamily) => object[] {
  return ({ names, groups, agreements }) =>
    [...agreements].flatMap(([first, ofFirst], f) =>
      [...agreements].slice(f + 1).flatMap(([second, ofSecond]) =>
        groups.flatMap(({ layer, position }, g) => {
          const [a, b] = [must(ofFirst[g], first), must(ofSecond[g], second)];
          if (layer !== null) return [];
          const differences = COMPARED.map((name) => [name, differenceOf(a, b, name, count)]);
          return [{ first, second, ...names, position, n: a.n, weighted: Object.fromEntries(differences) as object }];
        }),
      ),
    );
}
