/** @file Writes the report of a run folder: report.html, and each figure with its table under report/. */
import { mkdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { writeFileAtomically } from "../base/write-file.js";
import { countClusters } from "../nodes/prompt.js";
import { countSharedClusters, evaluatedPrompts, selectionPrompts } from "../plan/held-out.js";
import { runPaths } from "../run/run-folder.js";
import { standaloneSvg } from "./figure.js";
import { formatCount, formatNumber } from "./format-number.js";
import { statusPhrase } from "./labels.js";
import { withoutFolders } from "./provenance.js";
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
  const { model, hub, dataset, select } = run.inputs;
  const where = `Measured on ${basename(hub?.model?.repo ?? model)} with ${formatCount(evaluatedPrompts(plan).length)} prompts of ${basename(dataset)}.`;
  const chosen =
    select === undefined
      ? "The same prompts chose nodes and means: all of it is in-sample."
      : heldOutNote(plan, select);
  return [
    ...(asked.length === 0 ? ["Scores and mean activations."] : [...asked]),
    where,
    ...(asked.length === 0 ? [] : [chosen]),
  ].join(" ");
}

/** Which rows chose, and how far they are others. */
function heldOutNote(plan: RunContents["plan"], select: string): string {
  const chose = `${formatCount(selectionPrompts(plan).length)} prompts of ${basename(select)} chose nodes and means`;
  const [shared, clusters] = [countSharedClusters(plan), countClusters(evaluatedPrompts(plan))];
  const known = shared === 0 ? "" : `, which have ${formatCount(shared)} of the ${formatCount(clusters)} clusters too`;
  return `They were held out: ${chose}${known}.`;
}

function factsOf({ plan, baseline, dropped }: RunContents, parts: readonly ReportPart[]): Opening["facts"] {
  const mean = (values: readonly number[]): string => {
    const known = values.filter(Number.isFinite);
    return formatNumber(known.reduce((sum, value) => sum + value, 0) / known.length);
  };
  return [
    [formatCount(evaluatedPrompts(plan).length), "prompts"],
    [formatCount(dropped.length), "rows dropped"],
    ...parts.flatMap(({ facts }) => facts),
    ...(baseline === null
      ? []
      : ([
          [mean(baseline.map(({ clean }) => clean)), "mean m, clean"],
          [mean(baseline.map(({ corrupted }) => corrupted)), "mean m, corrupted"],
        ] as const)),
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
