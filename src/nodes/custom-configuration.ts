/**
 * @file Custom configurations: any set of nodes to ablate and any set to restore.
 *
 * 1. `ablate` names whole nodes and single features; its positions apply to both.
 * 2. A threshold, where given, also ablates every node that it does not keep.
 * 3. `restore` names nodes in the same way. A node named by both is restored; their number is reported.
 * 4. Where errors are split, parts of an error are named as whole nodes are. An error and its parts are not changed at once.
 *
 * Source: REFERENCE 5.
 */
import { must } from "../base/assert.js";
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
  /** Whole nodes: an error hook, the hook of a part of an error, or a feature hook for all features of the site. */
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
 * @throws PatchbayError `bad_input` for a hook without an SAE, a feature or position that does not exist, a part beside its
 *   whole, or a threshold without scores;
 *   the field is relative to the configuration (`ablate.nodes[0]`).
 */
export function resolveConfiguration(
  configuration: CustomConfiguration,
  sites: readonly SaeNodes[],
  positions: number,
  scores: NodeScores | null,
): ResolvedConfiguration {
  const clash = findClash(configuration);
  if (clash !== undefined) throw badInput(clash.message, { field: `${clash.part}.nodes[${String(clash.index)}]` });
  const isSplit = partsIn(configuration).length > 0;
  const size = { positions, isSplit };
  const ablated = chosenNodes(configuration.ablate, sites, size, "ablate");
  const restored = chosenNodes(configuration.restore, sites, size, "restore");
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
    const both = (states: keyof SiteIntervention): Uint8Array =>
      must(a[states], states).map((one, i) => state(one, r[states]?.[i] ?? 0));
    return {
      features: both("features"),
      errors: both("errors"),
      slices: new Uint8Array(0),
      ...(isSplit ? { linear: both("linear"), nonlinear: both("nonlinear") } : {}),
    };
  });
  return { intervention, ...counts };
}

/** A set of nodes: 1 for each member, keyed by site hook. */
type NodeSet = ReadonlyMap<string, SiteIntervention>;

/** A part of a node that a configuration names. */
export interface NamedPart {
  readonly part: "ablate" | "restore";
  /** Among its `nodes`. */
  readonly index: number;
  readonly hook: string;
  readonly at: SiteAt;
  /** Hook of the node that it is a part of. */
  readonly whole: string;
}

/** All parts of nodes that a configuration names, in order. */
export function partsIn(configuration: Pick<CustomConfiguration, "ablate" | "restore">): NamedPart[] {
  return (["ablate", "restore"] as const).flatMap((part) =>
    configuration[part].nodes.flatMap((hook, index) => {
      const named = parseNodeHook(hook);
      const whole = named === undefined ? null : KINDS[named.kind].partOf;
      return named === undefined || whole === null
        ? []
        : [{ part, index, hook, at: named, whole: nodeHook(named, whole) }];
    }),
  );
}

/** The first part that is named where its whole is changed too, and what is wrong with that; undefined where none is. */
export function findClash({
  ablate,
  restore,
  threshold,
}: CustomConfiguration): (NamedPart & { readonly message: string }) | undefined {
  for (const named of partsIn({ ablate, restore })) {
    const { hook, whole } = named;
    if (threshold !== null)
      return {
        ...named,
        message: `${hook} is a part of a node, and a threshold changes whole nodes; leave one of them out`,
      };
    if ([...ablate.nodes, ...restore.nodes].includes(whole))
      return { ...named, message: `${hook} is a part of ${whole}, which is named too; name the node or its parts` };
  }
  return undefined;
}

function chosenNodes(
  choice: NodeChoice,
  sites: readonly SaeNodes[],
  { positions: length, isSplit }: { readonly positions: number; readonly isSplit: boolean },
  field: string,
): NodeSet {
  const parts = (): object => (isSplit ? { linear: new Uint8Array(length), nonlinear: new Uint8Array(length) } : {});
  const chosen = new Map(
    sites.map((at): [string, SiteIntervention] => [siteHook(at), { ...uniformSite(at, length, 0), ...parts() }]),
  );
  const positions = resolvePositions(choice.positions, length, field);
  const setAt = (at: SiteAt): SiteIntervention => chosen.get(siteHook(at)) as SiteIntervention;
  for (const [n, hook] of choice.nodes.entries()) {
    const { at, kind } = findNode(hook, sites, `${field}.nodes[${String(n)}]`);
    const set = setAt(at);
    const width = nodesPerPosition(at, kind);
    const states = must(set[KINDS[kind].states], kind);
    for (const t of positions) states.fill(1, t * width, (t + 1) * width);
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
      const marked = must(set[states], states);
      markBelow(marked, scoresAt(scores[states], scoresKey(at, kind), marked.length), threshold);
    }
  }
}

function markBelow(set: Uint8Array, scores: ArrayLike<number>, { keep, value }: { keep: Keep; value: number }): void {
  for (let i = 0; i < set.length; i++) if (!keeps(scores[i] ?? Number.NaN, value, keep)) set[i] = 1;
}
