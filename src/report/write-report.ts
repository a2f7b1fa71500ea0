/** @file Writes the report of a run folder: report.html, and each figure with its table under report/. */
import { mkdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { writeFileAtomically } from "../base/write-file.js";
import { countClusters } from "../nodes/prompt.js";
import { positionCount } from "../nodes/span.js";
import { countSharedClusters, evaluatedPrompts, selectionPrompts } from "../plan/held-out.js";
import type { LenderPlace } from "../plan/plan.js";
import { positionCounts } from "../plan/prompt-lengths.js";
import { countSharedTexts } from "../plan/shared-texts.js";
import { runPaths } from "../run/run-folder.js";
import { standaloneSvg } from "./figure.js";
import { counted, formatCount, formatNumber } from "./format-number.js";
import { statusPhrase } from "./labels.js";
import { datasetNames, withoutFolders } from "./provenance.js";
import { readRunContents, type RunContents } from "./run-contents.js";
import { toCsv } from "./table.js";
import { markup, type Content } from "./markup.js";
import { page, type Opening } from "./page.js";
import { indexOf, reportSections } from "./sections.js";
import { type ReportedExperiment, type ReportPart, reportParts } from "./report-part.js";
import type { ScoreMethods } from "../methods/score-method.js";

/** What a report is made with. */
export interface Reporting {
  readonly methods: ScoreMethods;
  readonly experiments: readonly ReportedExperiment[];
}

/**
 * Writes `report.html`, `report/*.svg` and `report/*.csv` from the artifacts that are there. Files of an earlier report
 * are replaced.
 * @throws PatchbayError `bad_input` where run.json, plan.json or an artifact cannot be read.
 */
export async function writeReport({ experiments, methods }: Reporting, runFolder: string): Promise<void> {
  const contents = await readRunContents(methods, runFolder);
  const parts = await reportParts(experiments, contents);
  const { sections, figures, tables } = reportSections(contents, parts);
  const paths = runPaths(runFolder);
  rmSync(paths.figures, { recursive: true, force: true });
  mkdirSync(paths.figures, { recursive: true });
  for (const figure of figures) {
    writeFileAtomically(join(paths.figures, `${figure.id}.svg`), standaloneSvg(figure));
    writeFileAtomically(join(paths.figures, `${figure.id}.csv`), toCsv(figure.table));
  }
  for (const [name, table] of tables) writeFileAtomically(join(paths.figures, `${name}.csv`), toCsv(table));
  writeFileAtomically(paths.report, page(openingOf(contents, parts), sections, indexOf(parts)));
}

function openingOf(contents: RunContents, parts: readonly ReportPart[]): Opening {
  const { run } = contents;
  return {
    name: run.name,
    status: run.status,
    question: questionOf(contents, parts),
    answers: parts.flatMap(({ answers }) => answers),
    glance: parts.find(({ glance }) => glance !== null)?.glance ?? null,
    facts: factsOf(contents, parts),
    banner: bannerOf(contents),
  };
}

/** What was asked, and of what. */
function questionOf({ plan, run }: RunContents, parts: readonly ReportPart[]): string {
  const asked = parts.flatMap(({ question }) => question ?? []);
  const { model, hub } = run.inputs;
  const names = datasetNames(run.inputs);
  const where = `Measured on ${basename(hub?.model?.repo ?? model)} with ${counted(evaluatedPrompts(plan).length, "prompt")} of ${names.dataset}${filterNote(run)}.`;
  const chosen = chosenNote(plan, run.inputs, names.select);
  if (asked.length > 0) return [...asked, where, chosen].join(" ");
  const measures = parts.some(({ facts }) => facts.length > 0);
  return measures
    ? `What do the experiments of the sweep show? ${where} ${chosen}`
    : `Scores and mean activations. ${where}`;
}

/** Whether a filter kept the evaluated prompts: what is measured on them is of such prompts alone. */
function filterNote({ filtered = [] }: RunContents["run"]): string {
  const by = filtered.find(({ dataset }) => dataset !== "dataset.select");
  return by === undefined ? "" : `, kept for what the run ${basename(by.from)} measured of them`;
}

/** What chose nodes and means: these prompts, others of the sweep, or those of another run. */
function chosenNote(
  plan: RunContents["plan"],
  { select, from }: RunContents["run"]["inputs"],
  selectName: string,
): string {
  if (from !== undefined) return lenderNote(from, evaluatedPrompts(plan).length);
  return select === undefined
    ? "The same prompts chose nodes and means: all of it is in-sample."
    : heldOutNote(plan, selectName);
}

function lenderNote({ path, plan_hash: planHash, shared_prompts: shared }: LenderPlace, evaluated: number): string {
  const chose = `The run ${basename(path)} (plan ${planHash.slice(0, 8)}) chose nodes and means`;
  if (shared === 0) return `${chose}, by other prompts.`;
  const those = shared === evaluated ? "All" : formatCount(shared);
  return `${chose}. ${those} of these prompts are among those that it chose by: that much is in-sample.`;
}

/** Which rows chose, and how far they are others. */
function heldOutNote(plan: RunContents["plan"], select: string): string {
  const chose = `${counted(selectionPrompts(plan).length, "prompt")} of ${select} chose nodes and means`;
  const [shared, clusters] = [countSharedClusters(plan), countClusters(evaluatedPrompts(plan))];
  const known = shared === 0 ? "" : `, which have ${formatCount(shared)} of the ${formatCount(clusters)} clusters too`;
  return `They were held out: ${chose}${known}.${sharedNote(plan)}${unlikeNote(plan)}`;
}

/** What there is to say of rows whose texts chose too: they are others by their answers or sides alone. */
function sharedNote(plan: RunContents["plan"]): string {
  const shared = countSharedTexts(plan);
  if (shared === 0) return "";
  return ` But ${formatCount(shared)} of the evaluated prompts ${shared === 1 ? "has" : "have"} the texts of one that chose, with other answers or with clean and corrupted exchanged.`;
}

/** What there is to say of prompts whose positions were chosen by prompts of other lengths alone. */
function unlikeNote(plan: RunContents["plan"]): string {
  const known = new Set(positionCounts(selectionPrompts(plan)));
  const unlike = evaluatedPrompts(plan).filter((prompt) => !known.has(positionCount(prompt))).length;
  if (unlike === 0) return "";
  return ` ${formatCount(unlike)} of the evaluated prompts ${unlike === 1 ? "has" : "have"} a token count that none of those has: the nodes and means at their positions, the last one included, are of longer or shorter prompts.`;
}

function factsOf({ plan, baseline, dropped }: RunContents, parts: readonly ReportPart[]): Opening["facts"] {
  const mean = (label: string, values: readonly number[]): Opening["facts"] => {
    const known = values.filter(Number.isFinite);
    return known.length === 0
      ? []
      : [[formatNumber(known.reduce((sum, value) => sum + value, 0) / known.length), label]];
  };
  return [
    [formatCount(evaluatedPrompts(plan).length), "prompts"],
    [formatCount(dropped.length), "rows dropped"],
    ...parts.flatMap(({ facts }) => facts),
    ...(baseline === null
      ? []
      : [
          ...mean(
            "mean m, clean",
            baseline.map(({ clean }) => clean),
          ),
          ...mean(
            "mean m, corrupted",
            baseline.map(({ corrupted }) => corrupted),
          ),
        ]),
  ];
}

/** What a reader must know before believing the rest: that the run is not whole, and what is missing. */
function bannerOf({ run }: RunContents): Content {
  if (run.status === "complete") return null;
  const prompts = new Set(run.quarantined.flatMap((shard) => shard.prompts));
  const missing =
    run.quarantined.length === 0
      ? null
      : markup`<p>${run.quarantined.length} of ${run.counts.shards} shards were given up${prompts.size > 0 && `; prompts touched: ${String(prompts.size)} of ${String(run.counts.prompts)}`}.</p>
<ul>${run.quarantined.slice(0, 20).map(({ shard, code, message }) => markup`<li><code>${shard}</code> ${code}: ${withoutFolders(message)}</li>`)}</ul>`;
  return markup`<div class="banner" role="status"><p><strong>This run ${statusPhrase(run.status)}.</strong> ${withoutFolders(run.reason)}</p>${missing}</div>`;
}
