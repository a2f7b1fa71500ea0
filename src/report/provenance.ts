/** @file Where the numbers come from: inputs, environment, definitions, timings, warnings, dropped rows. */
import { truthDonorOf } from "../plan/node-list.js";
import { basename, dirname, isAbsolute, join, relative } from "node:path";
import type { HubSnapshot } from "../hub/snapshot.js";
import { counted, formatCount, formatNumber } from "./format-number.js";
import { markup, type Content, type Markup } from "./markup.js";
import type { RunContents } from "./run-contents.js";
import { evaluatedPrompts } from "../plan/held-out.js";
import { promptKey } from "../nodes/prompt.js";
import { htmlTable, numberColumn, textColumn, type Table } from "./table.js";

/** What patched nodes take their values from. */
const DONORS = { corrupted: "corrupted prompt", mean: "mean at the position", zero: "0" } as const;

/** Dropped rows that are listed one by one. */
const LISTED_ROWS = 40;

const DROP_REASONS: Record<string, string> = {
  multi_token_answer: "an answer is more than one token",
  unequal_length: "clean and corrupted prompt differ in token count",
  merge: "prompt and answer tokenise differently together than apart",
};

/** Dropped dataset rows: counts by reason, and the first of them. */
export function droppedTable({ dropped }: RunContents): Markup {
  const reasons = [...new Set(dropped.map(({ reason }) => reason))].sort();
  const explain = (reason: string): string => DROP_REASONS[reason] ?? "";
  const counts = htmlTable(
    "Dataset rows that were not used",
    [textColumn("reason"), numberColumn("rows"), textColumn("meaning")],
    reasons.map((reason) => [
      markup`<code>${reason}</code>`,
      formatCount(dropped.filter((row) => row.reason === reason).length),
      explain(reason),
    ]),
  );
  const places = placesOf(dropped);
  const rows = dropped
    .slice(0, LISTED_ROWS)
    .map((row) => [...places.map(({ of }) => of(row)), String(row.line), markup`<code>${row.reason}</code>`]);
  const rest = dropped.length - rows.length;
  return markup`${counts}<details><summary>Line by line</summary>${htmlTable(
    rest > 0 ? `The first ${String(rows.length)} of ${String(dropped.length)}; all are in dropped.csv` : "All of them",
    [
      ...places.map(({ name }) => textColumn(name)),
      numberColumn(places.length > 0 ? "line" : "line of the dataset"),
      textColumn("reason"),
    ],
    rows,
  )}</details>`;
}

/** Dropped rows for `report/dropped.csv`. */
export function droppedCsv({ dropped }: RunContents): Table {
  const places = placesOf(dropped);
  return {
    columns: [...places.map(({ name }) => name), "line", "reason"],
    rows: dropped.map((row) => [...places.map(({ of }) => of(row)), row.line, row.reason]),
  };
}

type Dropped = RunContents["dropped"][number];

/** What says, beside its line, which row is meant: what the row was for, and its file, where there are several. */
function placesOf(dropped: readonly Dropped[]): { readonly name: string; readonly of: (row: Dropped) => string }[] {
  const places = [
    { name: "use", of: ({ use = "" }: Dropped) => use },
    { name: "file", of: ({ file = "" }: Dropped) => file },
  ];
  return places.filter(({ of }) => new Set(dropped.map(of)).size > 1);
}

/** Names of the two datasets of a sweep, or of the one: with their folders where the files are called alike. */
export function datasetNames({ dataset, select }: RunContents["run"]["inputs"]): {
  readonly dataset: string;
  readonly select: string;
} {
  const named = [dataset, select ?? ""] as const;
  const isAlike = basename(named[0]) === basename(named[1]);
  const [first, second] = named.map((path) =>
    isAlike ? join(basename(dirname(path)), basename(path)) : basename(path),
  );
  return { dataset: first ?? "", select: second ?? "" };
}

/** Definitions in a sentence each. Source: docs/reference.md. */
const DEFINITIONS: readonly (readonly [term: string, meaning: string])[] = [
  [
    "metric m",
    "logit of the incorrect answer minus logit of the correct answer at the last token, after the final soft-cap. The model is right where m is negative on clean prompts.",
  ],
  [
    "effect",
    "m of the clean prompt with one node's activation taken from the corrupted prompt (or set to its mean or to zero, where the sweep says so), minus m of the clean prompt; everything downstream is recomputed. Positive: patching raises the incorrect answer, so the node supports the correct one.",
  ],
  ["share of m’s shift", "mean effect divided by the mean of m(corrupted) − m(clean): a ratio of means."],
  [
    "AtP score",
    "gradient of m on the clean prompt, times (corrupted − clean activation): the effect's first-order estimate. Zero-ablation AtP replaces the corrupted activation by 0; integrated gradients average the gradient along the line from clean to corrupted.",
  ],
  [
    "node",
    "one SAE feature, the SAE's error or a part of it, the whole activation of a site, one attention head, or one neuron, at one position. Sites: attn_z (heads before their output matrix), mlp_post (an MLP's neurons before its down projection), mlp_out (what the MLP adds), resid_post (a layer's output).",
  ],
  [
    "faithfulness",
    "(m(circuit) − m(empty)) / (m(full) − m(empty)) as a ratio of means over prompts (of pairs, over clean and corrupted ones, with the sign turned so that good is positive on both); “mean of ratios” averages the same ratio prompt by prompt. Complement (completeness): the same with the circuit's nodes ablated instead.",
  ],
  [
    "statistics",
    "node means over prompts are compared, the effect on the score; a node enters where the effect or any score is not zero. Same sign counts a zero on one side as a miss. Top-k overlap is the share of the k largest by |score| that are among the k largest by |effect|.",
  ],
  [
    "intervals",
    "Percentile bootstrap over clusters of prompts, a prompt's score and effect drawn together; statistics of a frame draw its nodes again too. They are called 95 % from 20 clusters on, rough under 20, and are not given under 6. Single nodes: mean ± 1.96 standard errors by clusters.",
  ],
  [
    "weighted",
    "each sampled node counts 1 / its inclusion probability, so that the result speaks for all nodes of its frame, not only for the strongest: those whose activation differs from the donor’s in some of the prompts that chose nodes.",
  ],
];

/** The definitions as a list. */
export function definitionList(): Markup {
  return markup`<dl class="definitions">${DEFINITIONS.map(([term, meaning]) => markup`<dt>${term}</dt><dd>${meaning}</dd>`)}</dl>`;
}

/** Where an input came from: the repositories of a hub with their commits, or else the name of its folder. */
function sourceLines(name: string, snapshots: readonly HubSnapshot[] | null): string[] {
  const named = (snapshots ?? []).map(({ repo, revision, commit }) => `${repo} at ${revision}, commit ${commit}`);
  return named.length > 0 ? named : [name];
}

/** SAEs that lie in the model's folder are named with it: their own folder is often just called `saes`. */
function saesName(saes: string | null, model: string): string {
  if (saes === null) return "";
  const inside = relative(model, saes);
  return inside === "" || inside.startsWith("..") || isAbsolute(inside)
    ? basename(saes)
    : join(basename(model), inside);
}

/** Inputs, environment and hashes. */
export function provenanceList({ run, plan }: RunContents): Markup {
  const { fingerprints, counts } = run;
  const { sweep, shape } = plan;
  const hash = (value: string | null): Content => (value === null ? "none" : markup`<code>${value}</code>`);
  const entries: (readonly [string, Content])[] = [
    [
      "model",
      [
        ...sourceLines(basename(run.inputs.model), run.inputs.hub?.model == null ? null : [run.inputs.hub.model]),
        `${String(shape.nLayers)} layers, width ${String(shape.dModel)}, ${String(shape.nHeads)} heads`,
        hash(fingerprints.model),
      ].map(line),
    ],
    [
      "SAEs",
      plan.saes.length === 0
        ? "none"
        : [
            ...sourceLines(saesName(run.inputs.saes, run.inputs.model), run.inputs.hub?.saes ?? null),
            `${String(plan.saes.length)} sites, ${saeWidths(plan)} features each`,
            hash(fingerprints.saes),
          ].map(line),
    ],
    [
      "dataset",
      [
        datasetNames(run.inputs).dataset,
        `${counted(counts.prompts, "prompt")} used, ${counted(counts.dropped, "row")} dropped${run.inputs.select === undefined ? "" : " of both datasets"}`,
        hash(fingerprints.dataset),
      ].map(line),
    ],
    ...filterEntries(run),
    ...selectEntry(run),
    ...fitEntry({ run, plan }),
    ...lenderEntry(run),
    ["plan", [`${formatCount(counts.shards)} shards, seed ${String(sweep.seed)}`, hash(run.plan_hash)].map(line)],
    ["code", hash(fingerprints.code)],
    [
      "environment",
      `${fingerprints.backend}, ${fingerprints.device}, ${fingerprints.dtype}, ${counted(fingerprints.threads, "thread")}, tfjs ${fingerprints.tfjs}`,
    ],
    ["Node (decides no bits)", run.node === undefined ? "not recorded" : run.node.join(", ")],
    ...reusedEntry(run),
    [
      "sign and direction",
      `positive raises the incorrect answer; base: clean prompt, donor: ${DONORS[truthDonorOf(sweep)]}`,
    ],
    ["several incorrect answers", `${sweep.metric.reduce} of their logits`],
    ["normalisation", "scores and effects: none; share: mean(m(corrupted) − m(clean))"],
    [
      "run",
      [
        `started ${run.started}`,
        // The report is written just before the run ends.
        ...(run.ended === null ? [] : [`ended ${run.ended}`]),
        `${counted(counts.workers, "worker")}, ${counts.retries === 1 ? "1 retry" : `${String(counts.retries)} retries`}`,
      ].map(line),
    ],
  ];
  return markup`<dl class="facts">${entries.map(([term, value]) => markup`<dt>${term}</dt><dd>${value}</dd>`)}</dl>`;
}

/** The runs that rows were filtered by, and how many were kept. */
function filterEntries({ filtered = [] }: RunContents["run"]): [string, Content][] {
  return filtered.map(({ dataset, from, plan_hash: hash, rows, measured, kept }) => [
    `filter of ${dataset}`,
    [
      `${formatCount(kept)} of ${formatCount(measured)} rows that ${basename(from)} evaluated (${formatCount(rows)} in the file)`,
      markup`<code>${hash}</code>`,
    ].map(line),
  ]);
}

/** The rows that chose, where they were others. */
function selectEntry({ inputs, counts, fingerprints }: RunContents["run"]): [string, Content][] {
  if (inputs.select === undefined) return [];
  const used = `${counted(counts.select ?? 0, "prompt")} chose nodes and means, without being evaluated`;
  return [
    [
      "selection rows",
      [datasetNames(inputs).select, used, markup`<code>${fingerprints.select ?? ""}</code>`].map(line),
    ],
  ];
}

/** What was not computed, because earlier runs had it. */
function reusedEntry({ reused = [], reused_artifacts: artifacts = [] }: RunContents["run"]): [string, Content][] {
  const places = new Map(reused.map((one) => [`${one.from} ${one.plan_hash}`, one]));
  const lines: Content[] = [...places.values()].flatMap(({ from, plan_hash: hash }) => {
    const own = reused.filter((one) => one.from === from && one.plan_hash === hash);
    const stages = own.map(({ stage, shards, of }) => `${stage} ${formatCount(shards)} of ${formatCount(of)}`);
    return [`shards from the run ${from}: ${stages.join(", ")}`, markup`<code>${hash}</code>`];
  });
  if (artifacts.length > 0) lines.push(`artifacts of ${artifacts.map(({ stage }) => stage).join(", ")}`);
  return lines.length === 0 ? [] : [["reused, not computed", lines.map(line)]];
}

/** The dataset that errors are split on, where the sweep splits them. */
function fitEntry({ run, plan }: Pick<RunContents, "run" | "plan">): [string, Content][] {
  if (plan.fitPrompts === undefined) return [];
  const { fit = "" } = run.inputs;
  const measured = new Set(evaluatedPrompts(plan).map(promptKey));
  const both = plan.fitPrompts.filter((prompt) => measured.has(promptKey(prompt))).length;
  const pairs = `${counted(plan.fitPrompts.length, "pair")} used${both === 0 ? "" : `, ${formatCount(both)} of which ${both === 1 ? "is" : "are"} measured too`}`;
  return [["fit of errors", [basename(fit), pairs, markup`<code>${run.fingerprints.fit ?? ""}</code>`].map(line)]];
}

/** The run that scores and means are taken from. */
function lenderEntry({ inputs: { from } }: RunContents["run"]): [string, Content][] {
  if (from === undefined) return [];
  return [
    ["scores and means", [`of the run ${basename(from.path)}`, markup`plan <code>${from.plan_hash}</code>`].map(line)],
  ];
}

const line = (content: Content): Markup => markup`<span class="line">${content}</span>`;

function saeWidths({ saes }: RunContents["plan"]): string {
  return [...new Set(saes.map(({ dSae }) => dSae))]
    .sort((a, b) => a - b)
    .map(formatCount)
    .join(" or ");
}

/** A message with absolute paths cut to their last part: a report is passed on, and folders of this machine mean nothing elsewhere. */
export function withoutFolders(text: string): string {
  return text.replace(/(?<![\w/:.<~-])~?\/(?:[^\s/:"'`<>]+\/)+([^\s/:"'`<>]+)/g, "…/$1");
}

/** Engine time by stage, beside what was expected before the run. */
export function timingTable({ run }: RunContents): Markup | null {
  const stages = Object.entries(run.timings).flatMap(([stage, whole]) => {
    const kinds = Object.entries(whole.by_kind ?? {});
    const ids = kinds.length === 0 ? [stage] : kinds.map(([kind]) => `${stage}-${kind}`);
    const parts = kinds.map(([kind, part]) => [`${stage}: ${kind}`, part, [`${stage}-${kind}`]] as const);
    return [[stage, whole, ids] as const, ...parts];
  });
  if (stages.length === 0) return null;
  const { prediction } = run;
  const expected = (ids: readonly string[]): Content[] => {
    if (prediction === undefined) return [];
    const found = ids.flatMap((id) => prediction.stages[id] ?? []);
    if (found.length === 0) return ["", ""];
    return [
      formatNumber(found.reduce((sum, one) => sum + one.seconds, 0)),
      formatCount(found.reduce((sum, one) => sum + one.units, 0)),
    ];
  };
  const table = htmlTable(
    "Engine time by stage, without loading weights",
    [
      textColumn("stage"),
      numberColumn("seconds"),
      numberColumn("work"),
      numberColumn("per second"),
      ...(prediction === undefined ? [] : ["expected seconds", "expected work"].map(numberColumn)),
    ],
    stages.map(([stage, { seconds, units, unit, per_second }, ids]) => [
      stage,
      formatNumber(seconds),
      `${formatCount(units)} ${unit}`,
      per_second >= 100 ? formatCount(per_second) : formatNumber(per_second),
      ...expected(ids),
    ]),
  );
  const memory =
    prediction === undefined
      ? ""
      : ` Before the run, ${formatCount(Math.round(prediction.peak_mib))} MiB of memory were expected in each engine, from rates measured on ${counted(prediction.workers, "worker")} with ${counted(prediction.threads, "thread")}.`;
  return markup`${table}<p class="note">Loading weights took ${formatNumber(run.weight_loading_seconds)} s over all engines.${memory}</p>`;
}
