/** @file Writes the report of a run folder: report.html, and each figure with its table under report/. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomically } from "../base/write-file.js";
import { runPaths } from "../plan/run-folder.js";
import { standaloneSvg } from "./figure.js";
import { formatCount, formatNumber } from "./format-number.js";
import { answers, glance, question } from "./headline.js";
import { statusPhrase } from "./labels.js";
import { readRunContents, type RunContents } from "./run-contents.js";
import { toCsv } from "./table.js";
import { markup, type Content } from "./markup.js";
import { page, type Opening } from "./page.js";
import { reportParts } from "./sections.js";

/**
 * Writes `report.html`, `report/*.svg` and `report/*.csv` from the artifacts that are there. Files of an earlier report
 * are replaced.
 * @throws PatchbayError `bad_input` where run.json, plan.json or an artifact cannot be read.
 */
export async function writeReport(runFolder: string): Promise<void> {
  const contents = await readRunContents(runFolder);
  const { sections, figures, tables } = reportParts(contents);
  const paths = runPaths(runFolder);
  rmSync(paths.figures, { recursive: true, force: true });
  mkdirSync(paths.figures, { recursive: true });
  for (const figure of figures) {
    writeFileAtomically(join(paths.figures, `${figure.id}.svg`), standaloneSvg(figure));
    writeFileAtomically(join(paths.figures, `${figure.id}.csv`), toCsv(figure.table));
  }
  for (const [name, table] of tables) writeFileAtomically(join(paths.figures, `${name}.csv`), toCsv(table));
  writeFileAtomically(paths.report, page(openingOf(contents), sections));
}

function openingOf(contents: RunContents): Opening {
  const { run } = contents;
  return {
    name: run.name,
    status: run.status,
    question: question(contents),
    answers: answers(contents),
    glance: glance(contents),
    facts: factsOf(contents),
    banner: bannerOf(contents),
  };
}

function factsOf({ plan, nodes, circuits, baseline, dropped }: RunContents): Opening["facts"] {
  const mean = (values: readonly number[]): string => {
    const known = values.filter(Number.isFinite);
    return formatNumber(known.reduce((sum, value) => sum + value, 0) / known.length);
  };
  return [
    [formatCount(plan.prompts.length), "prompts"],
    [formatCount(dropped.length), "rows dropped"],
    ...(nodes === null ? [] : [[formatCount(nodes.length), "nodes patched"] as const]),
    ...(circuits === null ? [] : [[formatCount(circuits.length), "circuits"] as const]),
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
<ul>${run.quarantined.slice(0, 20).map(({ shard, code, message }) => markup`<li><code>${shard}</code> ${code}: ${message}</li>`)}</ul>`;
  return markup`<div class="banner" role="status"><p><strong>This run ${statusPhrase(run.status)}.</strong> ${run.reason}</p>${missing}</div>`;
}
