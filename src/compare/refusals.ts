/**
 * @file Which runs may be compared.
 *
 * 1. What pairs two runs has no exception: the model, the metric, the prompts in their order, and the clusters of the prompts. A
 *    resample of the clusters is the same prompts in both.
 * 2. What the runs were computed on, and which nodes were measured, is the same unless the reader allows the difference by name.
 * 3. What else a sweep asks for may differ: it is what is compared.
 */
import { must } from "../base/assert.js";
import { allOf, badInput, type PatchbayError } from "../base/errors.js";
import { nodeKey } from "../nodes/node.js";
import { promptKey, type Prompt } from "../nodes/prompt.js";
import { evaluatedPrompts } from "../plan/held-out.js";
import { nodeListOf, truthDonorOf } from "../plan/node-list.js";
import { promptClusters } from "../stats/clusters.js";
import { groupLabel } from "../experiments/truth/report/group-labels.js";
import { familiesOf, type Family } from "../experiments/truth/validation-groups.js";
import type { ListedNode } from "../experiments/truth/node-table.js";
import type { ComparedRun } from "./compared-run.js";
import type { PairedFamily } from "./paired-sides.js";
import { shownApart } from "./sweep-differences.js";

/** Parts of a run's fingerprints that may differ where the reader says so. */
const COMPUTED_ON = ["select", "saes", "fit", "dtype", "backend", "device", "threads", "code", "tfjs"] as const;
const PAIRS = ["model", "metric", "truth.donor", "prompts", "clusters"];

/** Everything that may differ where the reader says so. */
const ALLOWABLE = [...COMPUTED_ON, "nodes"] as const;
/** The name of something that may differ. */
export type Allowable = (typeof ALLOWABLE)[number];

/** A difference in one field, in words. */
interface Difference {
  readonly field: string;
  readonly expected: string;
  readonly got: string;
}

/**
 * Reads the names that a reader allows to differ.
 * @param given - names, separated by commas.
 * @throws PatchbayError `bad_input`.
 */
export function parseAllowed(given: string): ReadonlySet<Allowable> {
  const names = given.split(",").map((name) => name.trim());
  return new Set(
    names.map((name) => {
      const known = ALLOWABLE.find((one) => one === name);
      if (known !== undefined) return known;
      const why = PAIRS.includes(name) ? `without the same ${name} nothing is paired` : `got ${name}`;
      throw badInput(`expected some of ${ALLOWABLE.join(", ")}; ${why}`, { field: "--allow" });
    }),
  );
}

/**
 * Passes where two runs may be compared.
 * @throws PatchbayError `bad_input` naming every field that differs, with both values.
 */
export function expectComparable(first: ComparedRun, second: ComparedRun, allowed: ReadonlySet<Allowable>): void {
  const fault = ({ field, expected, got }: Difference, remedy: string): PatchbayError =>
    badInput(`expected ${expected}, as in ${first.folder}, got ${got}; ${remedy}`, { file: second.folder, field });
  const unpaired = pairingDifferences(first, second);
  const where =
    unpaired.length === 0 ? "compares them all the same" : "lets them differ, once model and prompts are the same";
  const [one, ...others] = [
    ...unpaired.map((difference) => fault(difference, "runs are compared on the same prompts of the same model only")),
    ...[...computedDifferences(first, second), ...nodeDifferences(first, second)]
      .filter(({ field }) => !allowed.has(field as Allowable))
      .map((difference) => fault(difference, `--allow ${difference.field} ${where}`)),
  ];
  if (one !== undefined) throw allOf([one, ...others]);
}

function pairingDifferences(first: ComparedRun, second: ComparedRun): Difference[] {
  const [a, b] = [first.plan, second.plan];
  return [
    ...unequal("model", a.fingerprints.model, b.fingerprints.model),
    ...unequal("metric", a.sweep.metric.reduce, b.sweep.metric.reduce),
    ...donorDifferences(a.sweep, b.sweep),
    ...promptDifferences(evaluatedPrompts(a), evaluatedPrompts(b)),
  ];
}

/** Effects of two donors are effects of two things. */
function donorDifferences(a: ComparedRun["plan"]["sweep"], b: ComparedRun["plan"]["sweep"]): Difference[] {
  if (nodeListOf(a) === undefined || nodeListOf(b) === undefined) return [];
  return unequal("truth.donor", truthDonorOf(a), truthDonorOf(b));
}

function computedDifferences(first: ComparedRun, second: ComparedRun): Difference[] {
  const [a, b] = [first.file.fingerprints, second.file.fingerprints];
  return COMPUTED_ON.flatMap((field) => unequal(field, String(a[field] ?? "none"), String(b[field] ?? "none")));
}

function unequal(field: string, expected: string, got: string): Difference[] {
  return expected === got ? [] : [{ field, expected, got }];
}

/** By what is computed with: a line of another file with the same tokens and answers is the same prompt. */
function promptDifferences(a: readonly Prompt[], b: readonly Prompt[]): Difference[] {
  if (a.length !== b.length) return unequal("prompts", `${a.length} prompts`, `${b.length} prompts`);
  const at = a.findIndex((prompt, p) => promptKey(prompt) !== promptKey(must(b[p], "prompt")));
  if (at >= 0) return [promptDifference(at, [must(a[at], "prompt"), must(b[at], "prompt")], isReordered(a, b))];
  const [ofA, ofB] = [promptClusters(a), promptClusters(b)];
  if (ofA.count !== ofB.count) return unequal("clusters", `${ofA.count} clusters`, `${ofB.count} clusters`);
  const other = ofA.of.findIndex((cluster, p) => cluster !== ofB.of[p]);
  return other < 0 ? [] : unequal("clusters", clusterText(other, a[other]), clusterText(other, b[other]));
}

function isReordered(a: readonly Prompt[], b: readonly Prompt[]): boolean {
  const [ofA, ofB] = [a, b].map((prompts) => prompts.map(promptKey).sort().join("\n"));
  return ofA === ofB;
}

function promptDifference(index: number, [a, b]: readonly [Prompt, Prompt], isReordered: boolean): Difference {
  const [ofA, ofB] = shownApart(promptKey(a), promptKey(b));
  const text = (key: string, { line }: Prompt): string => `prompt ${index} to be ${key} (line ${line})`;
  return {
    field: "prompts",
    expected: text(ofA, a),
    got: `${text(ofB, b)}${isReordered ? ": the same prompts in another order" : ""}`,
  };
}

function clusterText(index: number, prompt: Prompt | undefined): string {
  return `prompt ${index} in the cluster ${prompt?.cluster ?? "of its own"}`;
}

function nodeDifferences(first: ComparedRun, second: ComparedRun): Difference[] {
  return sharedFamilies(first, second).flatMap(({ a, b }) => {
    const [ofA, ofB] = [membersOf(first, a), membersOf(second, b)];
    const label = groupLabel({ ...a, layer: null, position: null });
    if (ofA.length !== ofB.length) return unequal("nodes", `${ofA.length} ${label}`, `${ofB.length} ${label}`);
    const at = ofA.findIndex((node, n) => drawnNode(node) !== drawnNode(must(ofB[n], "node")));
    return at < 0 ? [] : unequal("nodes", nodeText(ofA[at]), nodeText(ofB[at]));
  });
}

/** The families of nodes that two runs have in common. */
export function sharedFamilies(first: ComparedRun, second: ComparedRun): PairedFamily[] {
  const others = familiesOf(second.nodes);
  return familiesOf(first.nodes).flatMap((a) => {
    const b = others.find(({ kind, site, global }) => kind === a.kind && site === a.site && global === a.global);
    if (b === undefined) return [];
    const [ofA, ofB] = [membersOf(first, a), membersOf(second, b)].map((nodes) => nodes.map(drawnNode).join("\n"));
    return [{ a, b, isSame: ofA === ofB }];
  });
}

function membersOf({ nodes }: ComparedRun, { members }: Family): ListedNode[] {
  return members.map((n) => must(nodes[n], "node"));
}

/** A node with how it was drawn. */
function drawnNode(node: ListedNode): string {
  return [nodeKey(node), node.stratum, node.inclusionProbability].join(" ");
}

function nodeText(node: ListedNode | undefined): string {
  const { stratum, inclusionProbability, ...rest } = must(node, "node");
  return `the node ${nodeKey(rest)} (stratum ${stratum}, drawn with probability ${inclusionProbability})`;
}
