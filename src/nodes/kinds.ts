/**
 * @file The kinds of node, in one table: what is particular to each and needs no tensors.
 *
 * What needs more is a record by kind where it belongs: how a sweep names such nodes (plan/node-slots.ts), how they are scored
 * (experiments/scores/scores.ts) and patched (experiments/truth/truth-deltas.ts), and what that costs (experiments/truth/work.ts). A kind that is
 * missing in any of these does not compile.
 */
import { SAE_SITES, type Site } from "./site.js";

/**
 * Kinds of node: an SAE feature, an SAE error, what a linear function of the site's activation says of the error and what it leaves, a
 * whole site (no SAE), one attention head of attn_z, one neuron of an MLP. Rows that join together come in this order.
 */
export const NODE_KINDS = ["feature", "error", "error_linear", "error_nonlinear", "site", "head", "neuron"] as const;
/** A kind of node. */
export type NodeKind = (typeof NODE_KINDS)[number];

/** What tells nodes of one kind, site and position apart: a field of the node, and a column of every table of nodes. */
export const INDEX_FIELDS = ["feature", "head", "neuron"] as const;
/** The name of the number that tells nodes of a kind apart. */
export type IndexField = (typeof INDEX_FIELDS)[number];

/** Numbers of nodes in one unit: (site, position, feature, head or neuron), and (site, position) for errors and whole sites. */
export interface NodeCounts {
  readonly nFeatures: number;
  readonly nErrorsResid: number;
  /** Errors of mlp_out and attn_z. */
  readonly nErrorsOther: number;
  readonly nSites: number;
  readonly nHeads: number;
  readonly nNeurons: number;
}

/** Sizes that decide how many nodes a site has. */
export interface SiteSizes {
  /** Features of the site's SAE; 0 where none sits. */
  readonly dSae: number;
  readonly nHeads: number;
  readonly dMlp: number;
}

/** What is particular to a kind. */
export interface NodeKindDescription {
  /** One node within its site, before its index. */
  readonly label: string;
  readonly plural: string;
  /** Place among the kinds where kinds are listed for people: those that are few and all measured come first. */
  readonly listRank: number;
  /** Place among the kinds in the truth's node slots. */
  readonly slotRank: number;
  /** What its hook adds to the site's. */
  readonly hookTail: string;
  /** Null where a site has one such node at each position. */
  readonly index: IndexField | null;
  /** Sites that have such nodes. */
  readonly sites: readonly Site[];
  /** How many a site has at each position. */
  readonly perPosition: (sizes: SiteSizes) => number;
  /** Whether such nodes are parts of an SAE, and exist only where one sits. */
  readonly onSae: boolean;
  /** The kind that such a node is a part of, in sweeps that split it; circuits are made of whole nodes. Null for whole ones. */
  readonly partOf: NodeKind | null;
  /** Whether most activations are 0: scores are then lists of what is not. */
  readonly isSparse: boolean;
  /** Whether such nodes are scored only where a sweep asks for them: there are very many. */
  readonly onRequest: boolean;
  /** Which states of an intervention are its nodes': those of the SAE's parts, or slices of a site without one. */
  readonly states: "features" | "errors" | "linear" | "nonlinear" | "slices";
  /** Which number of a circuit counts such nodes of a site. */
  readonly counter: (site: Site) => keyof NodeCounts;
}

function errorCounter(site: Site): keyof NodeCounts {
  return site === "resid_post" ? "nErrorsResid" : "nErrorsOther";
}

/** What the parts of an error have in common. */
const ERROR_PART = {
  index: null,
  sites: SAE_SITES,
  perPosition: () => 1,
  onSae: true,
  partOf: "error",
  isSparse: false,
  onRequest: false,
  counter: errorCounter,
} as const;

const TABLE = {
  feature: {
    label: "feature",
    plural: "SAE features",
    listRank: 3,
    slotRank: 3,
    hookTail: ".hook_sae_acts_post",
    index: "feature",
    sites: SAE_SITES,
    perPosition: ({ dSae }) => dSae,
    onSae: true,
    partOf: null,
    isSparse: true,
    onRequest: false,
    states: "features",
    counter: () => "nFeatures",
  },
  error: {
    label: "error",
    plural: "SAE errors",
    listRank: 0,
    slotRank: 0,
    hookTail: ".hook_sae_error",
    index: null,
    sites: SAE_SITES,
    perPosition: () => 1,
    onSae: true,
    partOf: null,
    isSparse: false,
    onRequest: false,
    states: "errors",
    counter: errorCounter,
  },
  error_linear: {
    ...ERROR_PART,
    label: "error, linear part",
    plural: "linear parts of SAE errors",
    listRank: 1,
    slotRank: 5,
    hookTail: ".hook_sae_error_linear",
    states: "linear",
  },
  error_nonlinear: {
    ...ERROR_PART,
    label: "error, nonlinear part",
    plural: "nonlinear parts of SAE errors",
    listRank: 2,
    slotRank: 6,
    hookTail: ".hook_sae_error_nonlinear",
    states: "nonlinear",
  },
  site: {
    label: "whole site",
    plural: "whole sites",
    listRank: 4,
    slotRank: 1,
    hookTail: "",
    index: null,
    sites: SAE_SITES,
    perPosition: () => 1,
    onSae: false,
    partOf: null,
    isSparse: false,
    onRequest: false,
    states: "slices",
    counter: () => "nSites",
  },
  head: {
    label: "head",
    plural: "attention heads",
    listRank: 5,
    slotRank: 2,
    hookTail: ".heads",
    index: "head",
    sites: ["attn_z"],
    perPosition: ({ nHeads }) => nHeads,
    onSae: false,
    partOf: null,
    isSparse: false,
    onRequest: false,
    states: "slices",
    counter: () => "nHeads",
  },
  neuron: {
    label: "neuron",
    plural: "MLP neurons",
    listRank: 6,
    slotRank: 4,
    hookTail: "",
    index: "neuron",
    sites: ["mlp_post"],
    perPosition: ({ dMlp }) => dMlp,
    onSae: false,
    partOf: null,
    isSparse: false,
    onRequest: true,
    states: "slices",
    counter: () => "nNeurons",
  },
} as const satisfies Record<NodeKind, NodeKindDescription>;

/** Every kind's description. */
export const KINDS: Readonly<Record<NodeKind, NodeKindDescription>> = TABLE;

type Table = typeof TABLE;

/** The index field of a kind's nodes; `never` where they have none. */
export type IndexFieldOf<Kind extends NodeKind> = Kind extends keyof Table ? Table[Kind]["index"] & string : never;

/** Kinds that are parts of an SAE. */
export type SaeKind = { [Kind in keyof Table]: Table[Kind]["onSae"] extends true ? Kind : never }[keyof Table];

/** Kinds that are slices of a site without an SAE. */
export type SliceKind = { [Kind in keyof Table]: Table[Kind]["states"] extends "slices" ? Kind : never }[keyof Table];

/** Kinds whose scores are lists of what is not 0. */
export type SparseKind = { [Kind in keyof Table]: Table[Kind]["isSparse"] extends true ? Kind : never }[keyof Table];

/** Kinds whose scores are whole arrays. */
export type DenseKind = Exclude<NodeKind, SparseKind>;

/** Whether nodes of the kind are parts of an SAE. */
export function isSaeKind(kind: NodeKind): kind is SaeKind {
  return KINDS[kind].onSae;
}

/** Kinds whose nodes are parts of others. */
export type PartKind = { [Kind in keyof Table]: Table[Kind]["partOf"] extends null ? never : Kind }[keyof Table];

/** Whether nodes of the kind are parts of others. */
export function isPartKind(kind: NodeKind): kind is PartKind {
  return KINDS[kind].partOf !== null;
}

/** Whether a kind's scores are whole arrays. */
export function isDenseKind(kind: NodeKind): kind is DenseKind {
  return !KINDS[kind].isSparse;
}

/** The kinds as lists for people have them. */
export const LISTED_KINDS: readonly NodeKind[] = NODE_KINDS.toSorted((a, b) => KINDS[a].listRank - KINDS[b].listRank);

/** The kinds as the truth's node slots have them. */
export const SLOT_KINDS: readonly NodeKind[] = NODE_KINDS.toSorted((a, b) => KINDS[a].slotRank - KINDS[b].slotRank);
