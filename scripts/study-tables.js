/** @file The tables of docs/results/gemma3-270m-tables.md, from the folders of the study's runs. */
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { sha256 } from "../dist/base/hash.js";
import { decodePrompts } from "../dist/artifacts/prompts-file.js";
import { readArtifact } from "../dist/run/artifacts.js";
import { readRunFile } from "../dist/run/run-folder.js";
import { spelled } from "../dist/tables/agreement-tables.js";
import { bounded, plain, toMarkdown } from "../dist/tables/table.js";
import { tablesOfRun } from "../dist/tables/run-tables.js";

/** Statistics of the frame, in the order of the columns. */
const STATISTICS = {
  r: "pearson",
  ρ: "spearman",
  off: "off",
  "sd score / sd effect": "size_ratio",
  "sign, by effect": "sign_agreement_by_effect",
};
/** What is taken of the tables that `patchbay tables` makes of each run. */
const TAKEN = [/^Score as a share/, /^Faithfulness/];

/** All tables as Markdown. @param folders - of finished runs. */
export async function studyTables(folders) {
  const runs = await Promise.all(folders.map(readRun));
  const whole = runs.flatMap((one) =>
    agreementRows(
      one,
      ({ position }) => position === null,
      () => [],
    ),
  );
  const sections = [
    { title: "Runs", tables: [runTable(runs)] },
    {
      title: "Agreement of scores and true effects",
      tables: [
        table("All positions", ["run", "nodes", "score", "n", ...Object.keys(STATISTICS)], whole),
        ...runs.map(positionTable),
        differenceTable(runs),
      ],
    },
    ...runs.map(({ name, tables }) => ({ title: `Nodes and circuits: ${name}`, tables })),
  ];
  return `${heading()}\n\n${toMarkdown(sections)}\n`;
}

function heading() {
  return [
    "# Tables of the Gemma 3 270M study",
    "",
    "`npm run study:gemma3-270m` writes this file. [gemma3-270m.md](gemma3-270m.md) says what it means.",
    "Intervals are 95 %. They resample clusters of prompts, which are the nouns.",
  ].join("\n");
}

async function readRun(folder) {
  const validation = JSON.parse(Buffer.from(await readArtifact(folder, "validation.json")).toString());
  const { sections } = await tablesOfRun(folder);
  const [first] = await decodePrompts(await readArtifact(folder, "prompts.parquet"));
  return {
    name: basename(folder),
    run: readRunFile(folder),
    validation,
    tokens: first.text.clean.tokens,
    /** Of all artifacts: the hash of the list of their hashes. */
    sums: sha256(readFileSync(join(folder, "SHA256SUMS"))),
    tables: sections.flatMap(({ tables }) => tables.filter(({ title }) => TAKEN.some((taken) => taken.test(title)))),
  };
}

function table(title, columns, rows) {
  return { title, columns, rows, grouped: true };
}

/** What a machine that runs the study again compares. */
function runTable(runs) {
  const columns = ["run", "prompts", "clusters", "chosen on", "device", "code", "plan_hash", "SHA-256 of SHA256SUMS"];
  const rows = runs.map(({ name, run: { counts, fingerprints, plan_hash: plan }, validation, sums }) =>
    [
      name,
      validation.prompts,
      validation.clusters,
      counts.select,
      `${fingerprints.backend}, ${fingerprints.device}`,
      `\`${fingerprints.code.slice(0, 16)}\``,
      `\`${plan}\``,
      `\`${sums}\``,
    ].map(plain),
  );
  return table("What was run", columns, rows);
}

/** Rows of the groups of all layers that `isTaken`. @param place - further cells behind the site. */
function agreementRows({ name, validation }, isTaken, place) {
  return validation.groups
    .filter((group) => group.layer === null && !group.global && group.n > 0 && isTaken(group))
    .map((group) => [
      plain(name),
      plain(group.site),
      ...place(group),
      plain(spelled(group.score)),
      plain(group.n),
      ...Object.values(STATISTICS).map((statistic) => bounded(group.weighted[statistic])),
    ]);
}

function positionTable(one) {
  const place = ({ position }) => [plain(`${position} (${one.tokens[position].trim()})`)];
  const rows = agreementRows(one, ({ position }) => position !== null, place).map(([, ...cells]) => cells);
  return table(`By position: ${one.name}`, ["nodes", "position", "score", "n", ...Object.keys(STATISTICS)], rows);
}

/** Paired: the second estimator less the first, over the same prompts and nodes. */
function differenceTable(runs) {
  const rows = runs.flatMap(({ name, validation }) =>
    validation.differences
      .filter(({ position, global }) => position === null && !global)
      .map(({ first, second, site, weighted }) => [
        plain(name),
        plain(site),
        plain(`${spelled(first)} − ${spelled(second)}`),
        ...["pearson", "spearman", "off"].map((statistic) => bounded(weighted[statistic])),
      ]),
  );
  return table("Differences between estimators", ["run", "nodes", "difference", "r", "ρ", "off"], rows);
}
