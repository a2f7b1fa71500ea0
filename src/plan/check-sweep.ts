/** @file Faults of a sweep that show only beside its model, SAEs and dataset: found before any work starts. */
import { INDEX_FIELDS, isSaeKind, LISTED_KINDS } from "../nodes/kinds.js";
import { parseNodeHook } from "../nodes/node.js";
import { circuitsOf } from "./evaluations.js";
import { namesKind, TRUTH_FIELDS } from "./node-slots.js";
import type { ModelShape, SaeSite } from "./plan.js";
import type { SweepSource } from "./read-sweep.js";
import { SCORE_METHODS } from "./score-methods.js";

/** What a sweep is checked against. */
export interface SweepContext {
  readonly shape: ModelShape;
  readonly saes: readonly SaeSite[];
  /** Whether the dataset has corrupted prompts. */
  readonly paired: boolean;
  /** Token counts of the kept prompts, without repeats. */
  readonly lengths: readonly number[];
}

type Fault = SweepSource["fault"];

/** @throws PatchbayError `bad_input` naming file, line and field of the first fault. */
export function checkSweep({ sweep, fault }: SweepSource, context: SweepContext): void {
  checkNames(sweep, fault);
  checkVariants(sweep, fault);
  checkDataset(sweep, fault, context);
  checkSaes(sweep, fault, context);
  checkTruth(sweep, fault, context);
  checkExperiments(sweep, fault, context);
}

type CheckedSweep = SweepSource["sweep"];

function checkNames({ scores, truth, circuits, experiments }: CheckedSweep, fault: Fault): void {
  const names = scores.map(({ name }) => name);
  names.forEach((name, i) => {
    if (names.indexOf(name) !== i)
      throw fault(["scores", i, "name"], `the name ${name} is used twice; scores need different names`);
    if (RESERVED.has(name))
      throw fault(
        ["scores", i, "name"],
        `${name} is a column of truth.parquet or validation.parquet already; choose another name`,
      );
  });
  names.forEach((name, i) => {
    const base = name.replace(/_sem$/, "");
    if (base !== name && names.includes(base))
      throw fault(
        ["scores", i, "name"],
        `the column ${name} of validation.parquet is the standard error of ${base}; choose another name`,
      );
  });
  const known = names.length === 0 ? "there are none" : `there are: ${names.join(", ")}`;
  const features = truth?.features;
  if (features !== undefined && features !== "all" && !Array.isArray(features) && !names.includes(features.by)) {
    throw fault(
      ["truth", "features", "by"],
      `no scores are called ${features.by} (${known}); add them under \`scores\``,
    );
  }
  if (circuits !== undefined && !names.includes(circuits.scores)) {
    throw fault(
      ["circuits", "scores"],
      `no scores are called ${circuits.scores} (${known}); add them under \`scores\``,
    );
  }
  experiments.forEach(({ name, threshold }, i) => {
    if (experiments.findIndex((one) => one.name === name) !== i)
      throw fault(["experiments", i, "name"], `the name ${name} is used twice`);
    if (circuits !== undefined && circuitsOf(circuits).some((circuit) => circuit.name === name))
      throw fault(["experiments", i, "name"], `${name} is the name of a threshold circuit; choose another name`);
    if (threshold !== null && names.length === 0)
      throw fault(["experiments", i, "threshold"], "a threshold needs scores; add some under `scores`");
  });
}

/** A circuit is called by its variant and threshold: a variant that is listed twice would give two circuits one name. */
function checkVariants({ circuits }: CheckedSweep, fault: Fault): void {
  circuits?.variants.forEach((variant, i) => {
    if (circuits.variants.indexOf(variant) !== i)
      throw fault(["circuits", "variants", i], `the variant ${variant} is listed twice`);
  });
}

/** Columns of truth.parquet and validation.parquet beside the scores' own. */
const RESERVED = new Set<string>([
  ...INDEX_FIELDS,
  ...(
    "hook kind site layer position global prompt n effect effect_sem metric_clean metric_corrupted " +
    "metric_patched normalised normalised_mean stratum inclusion_probability"
  ).split(" "),
]);

function checkDataset({ scores, truth }: CheckedSweep, fault: Fault, { paired }: SweepContext): void {
  if (paired) return;
  const plain = "a plain dataset (prompt, true_answer, false_answer) has no corrupted prompts";
  scores.forEach(({ method }, i) => {
    if (SCORE_METHODS[method].donor === "corrupted")
      throw fault(["scores", i, "method"], `${plain}, which ${method} needs; use method zero, or a dataset of pairs`);
  });
  if (truth !== undefined) throw fault(["truth"], `${plain}, which true patching needs; use a dataset of pairs`);
}

function checkSaes({ truth, circuits, experiments, saes }: CheckedSweep, fault: Fault, context: SweepContext): void {
  if (saes !== "none" && context.saes.length > 0) {
    if (circuits?.nodes !== undefined)
      throw fault(
        ["circuits", "nodes"],
        "is for sweeps without SAEs: with SAEs, circuits are made of features and errors",
      );
    return;
  }
  const why = "needs SAEs, and the sweep has none; set `saes: { path: ... }`";
  for (const kind of LISTED_KINDS.filter(isSaeKind))
    if (namesKind(truth, kind))
      throw fault(["truth", TRUTH_FIELDS[kind]], `patching of ${kind} nodes ${why}, or patch \`whole_sites\``);
  const variant = circuits?.variants.findIndex((one) => one !== "all") ?? -1;
  if (variant >= 0)
    throw fault(["circuits", "variants", variant], "ablates error nodes, and a sweep without SAEs has none; use `all`");
  if (experiments.length > 0) throw fault(["experiments", 0], `a custom configuration ${why}`);
}

function checkTruth({ truth }: CheckedSweep, fault: Fault, context: SweepContext): void {
  if (truth === undefined) return;
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
  if (!LISTED_KINDS.some((kind) => namesKind(truth, kind))) {
    const fields = LISTED_KINDS.map((kind) => `\`${TRUTH_FIELDS[kind]}\``).join(", ");
    throw fault(["truth"], `names no nodes; give at least one of ${fields}`);
  }
  for (const key of LISTED_KINDS.map((kind) => TRUTH_FIELDS[kind])) {
    const part = truth[key];
    if (typeof part !== "object" || !("layers" in part) || part.layers === "all") continue;
    part.layers.forEach((layer, i) => {
      if (layer >= context.shape.nLayers) {
        throw fault(
          ["truth", key, "layers", i],
          `the model has layers 0 to ${String(context.shape.nLayers - 1)}, got ${String(layer)}`,
        );
      }
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

function checkExperiments({ experiments }: CheckedSweep, fault: Fault, context: SweepContext): void {
  experiments.forEach((experiment, i) => {
    for (const part of ["ablate", "restore"] as const) {
      const { nodes, features, positions } = experiment[part];
      nodes.forEach((hook, j) => {
        checkNodeHook(hook, context, (message) => fault(["experiments", i, part, "nodes", j], message));
      });
      for (const [hook, list] of Object.entries(features)) {
        checkFeature(hook, list, context, (_field, message) =>
          fault(["experiments", i, part, "features", hook], message),
        );
      }
      positions?.forEach((position, j) => {
        checkPosition(position, context, (message) => fault(["experiments", i, part, "positions", j], message));
      });
    }
  });
}

function checkPosition(position: number, { lengths }: SweepContext, fault: (message: string) => Error): void {
  const longest = Math.max(...lengths);
  if (position >= longest || position < -longest) {
    throw fault(
      `the kept prompts have at most ${String(longest)} tokens: positions ${String(-longest)} to ${String(longest - 1)}, got ${String(position)}`,
    );
  }
}

function checkNodeHook(hook: string, context: SweepContext, fault: (message: string) => Error): SaeSite {
  const parsed = parseNodeHook(hook);
  if (parsed === undefined || !isSaeKind(parsed.kind)) {
    throw fault(`${hook} is not a node hook; expected e.g. blocks.0.hook_resid_post.hook_sae_error`);
  }
  const sae = context.saes.find(({ site, layer }) => site === parsed.site && layer === parsed.layer);
  if (sae === undefined) throw fault(`no SAE is loaded at ${hook}; the sweep has ${String(context.saes.length)} SAEs`);
  return sae;
}

function checkFeature(
  hook: string,
  list: readonly number[],
  context: SweepContext,
  fault: (field: string[], message: string) => Error,
): void {
  const sae = checkNodeHook(hook, context, (message) => fault(["hook"], message));
  if (parseNodeHook(hook)?.kind !== "feature")
    throw fault(["hook"], `${hook} names no features; expected a hook that ends in .hook_sae_acts_post`);
  const beyond = list.find((feature) => feature >= sae.dSae);
  if (beyond !== undefined)
    throw fault(["feature"], `the SAE at ${hook} has features 0 to ${String(sae.dSae - 1)}, got ${String(beyond)}`);
}
