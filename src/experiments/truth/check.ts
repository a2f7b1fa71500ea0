/** @file Faults of the nodes whose truth a sweep asks for. */
import { isSaeKind, LISTED_KINDS } from "../../nodes/kinds.js";
import { GLOBAL_POSITION } from "../../nodes/node.js";
import { checkFeature, checkPosition, hasSaes, NO_PAIRS, NO_SAES, unknownScores } from "../../plan/check-nodes.js";
import { type NodeListSpec, nodeListOf, type ShortForm } from "../../plan/node-list.js";
import { listedSets } from "../../plan/node-sets.js";
import { TRUTH_FIELDS } from "../../plan/node-slots.js";
import { borrows } from "../../plan/lender.js";
import type { PlanContext } from "../../plan/plan-part.js";
import { partsOf, setsOf, termsOf } from "../../plan/set-expression.js";
import { spansOf } from "../../plan/span-positions.js";
import type { SweepSource } from "../../sweep/read-sweep.js";
import { checkSets } from "../../plan/check-sets.js";
import type { ScoreMethods } from "../../methods/score-method.js";
import { checkDonor } from "./score-donors.js";

/** @throws PatchbayError `bad_input` naming file, line and field of the first fault. */
export function checkTruth(methods: ScoreMethods, source: SweepSource, context: PlanContext): void {
  const { sweep, fault, has } = source;
  const truth = nodeListOf(sweep);
  if (truth === undefined) return;
  const { features } = truth;
  if (features !== undefined && features !== "all" && !Array.isArray(features)) {
    const unknown = unknownScores(source, features.by);
    if (unknown !== undefined) throw fault(["truth", "features", "by"], unknown);
  }
  if (borrows(sweep))
    throw fault(
      ["truth"],
      "true effects are compared with each prompt's own scores, and scores `from` a run are means over its prompts; compute scores here, or leave `truth` out",
    );
  if (truth.donor === "corrupted" && !context.paired)
    throw fault(
      ["truth"],
      `${NO_PAIRS}, which true patching needs; use a dataset of pairs, or set \`donor\` to zero or mean`,
    );
  // AtP stands in for scores that the file does not name.
  if (!context.paired && !has(["scores"]))
    throw fault(
      ["truth"],
      `compares true effects with scores, and ${NO_PAIRS} for AtP, the default; give scores of method zero, or \`scores: []\` for none`,
    );
  checkDonor(methods, source);
  if (!hasSaes(source, context))
    for (const kind of LISTED_KINDS.filter(isSaeKind)) {
      const field = TRUTH_FIELDS[kind];
      if (field !== null && truth[field] !== undefined)
        throw fault(["truth", field], `patching of ${kind} nodes ${NO_SAES}, or patch \`whole_sites\``);
    }
  checkGlobal(source, truth);
  checkNodes(source, truth, context);
  checkSets(source, truth, context);
}

/** Of all spans at once, the corrupted run alone is a donor. @throws PatchbayError `bad_input`. */
function checkGlobal({ sweep, fault }: SweepSource, { donor, positions, nodes = [] }: NodeListSpec): void {
  if (spansOf(sweep) === undefined || donor === "corrupted") return;
  const inNodes = nodes.findIndex((set) =>
    termsOf(set, setsOf(sweep)).some(({ at = "all" }) => partsOf(at).includes(GLOBAL_POSITION)),
  );
  if (inNodes < 0 && !positions.includes(GLOBAL_POSITION)) return;
  throw fault(
    ["truth", ...(inNodes < 0 ? ["positions"] : ["nodes", inNodes])],
    `\`global\` with the donor ${donor} is not built for rows with spans: tokens outside them have no value of it; use the donor corrupted, or name spans`,
  );
}

/** Fields that name nodes of one kind. */
const SHORT_FORMS: readonly ShortForm[] = LISTED_KINDS.map((kind) => TRUTH_FIELDS[kind]).filter(
  (field) => field !== null,
);

/** @throws what `fault` makes of a layer that the model lacks. */
function checkLayer(layer: number, { shape: { nLayers } }: PlanContext, fault: (message: string) => Error): void {
  if (layer >= nLayers) throw fault(`the model has layers 0 to ${String(nLayers - 1)}, got ${String(layer)}`);
}

function checkNodes({ fault }: SweepSource, truth: NodeListSpec, context: PlanContext): void {
  const { errors, features } = truth;
  if (
    errors !== undefined &&
    !context.saes.some(
      ({ site, layer }) => errors.sites.includes(site) && (errors.layers === "all" || errors.layers.includes(layer)),
    )
  )
    throw fault(
      ["truth", "errors"],
      "none of the sweep's SAEs sits at these sites and layers, so there is no error node to patch",
    );
  const inShort = SHORT_FORMS.some((field) => truth[field] !== undefined);
  if (truth.joint === undefined && !inShort && listedSets(truth.nodes).length === 0) {
    const fields = [...SHORT_FORMS, "nodes", "joint"].map((field) => `\`${field}\``).join(", ");
    throw fault(["truth"], `names no nodes; give at least one of ${fields}`);
  }
  for (const key of SHORT_FORMS) {
    const part = truth[key];
    if (typeof part !== "object" || !("layers" in part) || part.layers === "all") continue;
    part.layers.forEach((layer, i) => {
      checkLayer(layer, context, (message) => fault(["truth", key, "layers", i], message));
    });
  }
  truth.positions.forEach((position, i) => {
    if (typeof position === "number")
      checkPosition(position, context, (message) => fault(["truth", "positions", i], message));
  });
  if (Array.isArray(features)) {
    features.forEach(({ hook, feature }, i) => {
      if (features.findIndex((one) => one.hook === hook && one.feature === feature) !== i)
        throw fault(["truth", "features", i], `feature ${String(feature)} of ${hook} is listed twice`);
      checkFeature(hook, [feature], context, (field, message) => fault(["truth", "features", i, ...field], message));
    });
  } else if (features !== undefined && features !== "all" && features.top + features.random === 0) {
    throw fault(["truth", "features"], "asks for 0 top and 0 random features; ask for some, or leave `features` out");
  }
}
