/**
 * @file Custom configurations: any set of nodes to ablate and any set to restore.
 *
 * 1. `ablate` names whole nodes and single features; its positions apply to both.
 * 2. A threshold, where given, also ablates every node that it does not keep.
 * 3. `restore` names nodes in the same way. A node named by both is restored; their number is reported.
 *
 * Source: REFERENCE 5.
 */
import { badInput } from "../base/errors.js";
import { ABLATED, LIVE, RESTORED, type Intervention, type SiteIntervention } from "./intervention.js";
import { isSaeKind, KINDS, type SaeKind } from "./kinds.js";
import { nodeHook, parseNodeHook } from "./node.js";
import { siteHook, type SiteAt } from "./site.js";
import {
  interventionOf,
  kindsAt,
  nodesPerPosition,
  scoresAt,
  scoresKey,
  uniformSite,
  type SaeNodes,
} from "./node-states.js";
import { keeps, type Keep, type NodeScores } from "./selection.js";

/** A set of nodes. Hooks are node hooks: `blocks.0.hook_mlp_out.hook_sae_error`, `blocks.1.hook_resid_post.hook_sae_acts_post`. */
export interface NodeChoice {
  /** Whole nodes: an error hook, or a feature hook for all features of the site. */
  readonly nodes: readonly string[];
  /** Feature hook -> feature indexes. */
  readonly features: Readonly<Record<string, readonly number[]>>;
  /** Positions that both apply to, negative ones from the end; null for all. */
  readonly positions: readonly number[] | null;
}

/** What a custom evaluation does. */
export interface CustomConfiguration {
  readonly ablate: NodeChoice;
  readonly restore: NodeChoice;
  /** Ablates, besides, every node that this threshold does not keep. */
  readonly threshold: { readonly keep: Keep; readonly value: number } | null;
}

/** The intervention, and how many nodes each instruction names. */
export interface ResolvedConfiguration {
  readonly intervention: Intervention;
  /** Nodes that `ablate` and the threshold name, whether restored after all or not. */
  readonly nodesAblated: number;
  /** Nodes that `restore` names. */
  readonly nodesRestored: number;
  /** Nodes that both name; they are restored. */
  readonly nodesNamedByBoth: number;
}

/**
 * Resolves a configuration for prompts of one length.
 *
 * @param scores needed only where the configuration has a threshold.
 * @throws PatchbayError `bad_input` for a hook without an SAE, a feature or position that does not exist, or a threshold
 *   without scores;
 *   the field is relative to the configuration (`ablate.nodes[0]`).
 */
export function resolveConfiguration(
  configuration: CustomConfiguration,
  sites: readonly SaeNodes[],
  positions: number,
  scores: NodeScores | null,
): ResolvedConfiguration {
  const ablated = chosenNodes(configuration.ablate, sites, positions, "ablate");
  const restored = chosenNodes(configuration.restore, sites, positions, "restore");
  if (configuration.threshold !== null) ablateBelow(configuration.threshold, sites, ablated, scores);
  const counts = { nodesAblated: 0, nodesRestored: 0, nodesNamedByBoth: 0 };
  const state = (isAblated: number, isRestored: number): number => {
    counts.nodesAblated += isAblated;
    counts.nodesRestored += isRestored;
    counts.nodesNamedByBoth += isAblated & isRestored;
    return isRestored === 1 ? RESTORED : isAblated === 1 ? ABLATED : LIVE;
  };
  const intervention = interventionOf(sites, (at) => {
    const a = ablated.get(siteHook(at));
    const r = restored.get(siteHook(at));
    if (a === undefined || r === undefined) return undefined;
    return {
      features: a.features.map((one, i) => state(one, r.features[i] ?? 0)),
      errors: a.errors.map((one, t) => state(one, r.errors[t] ?? 0)),
      slices: new Uint8Array(0),
    };
  });
  return { intervention, ...counts };
}

/** A set of nodes: 1 for each member, keyed by site hook. */
type NodeSet = ReadonlyMap<string, SiteIntervention>;

function chosenNodes(choice: NodeChoice, sites: readonly SaeNodes[], length: number, field: string): NodeSet {
  const chosen = new Map(sites.map((at) => [siteHook(at), uniformSite(at, length, 0)]));
  const positions = resolvePositions(choice.positions, length, field);
  const setAt = (at: SiteAt): SiteIntervention => chosen.get(siteHook(at)) as SiteIntervention;
  for (const [n, hook] of choice.nodes.entries()) {
    const { at, kind } = findNode(hook, sites, `${field}.nodes[${String(n)}]`);
    const set = setAt(at);
    const width = nodesPerPosition(at, kind);
    for (const t of positions) set[KINDS[kind].states].fill(1, t * width, (t + 1) * width);
  }
  for (const [hook, indexes] of Object.entries(choice.features)) {
    const where = `${field}.features["${hook}"]`;
    const { at, kind } = findNode(hook, sites, where);
    if (kind !== "feature") {
      const expected = nodeHook(at, "feature");
      throw badInput(`expected a feature hook, got ${hook}; write ${expected}`, { field: where });
    }
    for (const feature of indexes) {
      if (!Number.isInteger(feature) || feature < 0 || feature >= at.dSae) {
        throw badInput(`the SAE at ${siteHook(at)} has features 0 to ${String(at.dSae - 1)}, got ${String(feature)}`, {
          field: where,
        });
      }
      for (const t of positions) setAt(at).features[t * at.dSae + feature] = 1;
    }
  }
  return chosen;
}

function findNode(hook: string, sites: readonly SaeNodes[], field: string): { at: SaeNodes; kind: SaeKind } {
  const named = parseNodeHook(hook);
  const at = sites.find(({ site, layer }) => site === named?.site && layer === named.layer);
  if (named === undefined || !isSaeKind(named.kind)) {
    const examples = "blocks.0.hook_mlp_out.hook_sae_error or blocks.0.hook_mlp_out.hook_sae_acts_post";
    throw badInput(`expected the hook of an SAE node such as ${examples}, got ${hook}`, { field });
  }
  if (at === undefined) throw badInput(`${hook} has no SAE in this sweep; name a site that has one`, { field });
  return { at, kind: named.kind };
}

function resolvePositions(positions: readonly number[] | null, length: number, field: string): number[] {
  if (positions === null) return Array.from({ length }, (_, t) => t);
  const resolved = positions.map((position) => {
    const t = position < 0 ? position + length : position;
    if (!Number.isInteger(t) || t < 0 || t >= length) {
      const range = `${String(-length)} to ${String(length - 1)}`;
      throw badInput(`prompts of ${String(length)} tokens have positions ${range}, got ${String(position)}`, {
        field: `${field}.positions`,
      });
    }
    return t;
  });
  return [...new Set(resolved)];
}

function ablateBelow(
  threshold: { readonly keep: Keep; readonly value: number },
  sites: readonly SaeNodes[],
  ablated: NodeSet,
  scores: NodeScores | null,
): void {
  if (scores === null) throw badInput("a threshold needs scores; add scores to the sweep", { field: "threshold" });
  for (const at of sites) {
    const set = ablated.get(siteHook(at));
    if (set === undefined) continue;
    for (const kind of kindsAt(at)) {
      const { states } = KINDS[kind];
      markBelow(set[states], scoresAt(scores[states], scoresKey(at, kind), set[states].length), threshold);
    }
  }
}

function markBelow(set: Uint8Array, scores: ArrayLike<number>, { keep, value }: { keep: Keep; value: number }): void {
  for (let i = 0; i < set.length; i++) if (!keeps(scores[i] ?? Number.NaN, value, keep)) set[i] = 1;
}
