/** @file `patchbay tables`: how each score of a run agrees with the true effects, and its circuits, as Markdown tables. */
import { tablesOfRun, type RunTables } from "../tables/run-tables.js";
import { toMarkdown, type Table } from "../tables/table.js";

/**
 * Prints the tables of each run; of several, each under a headline. Nothing is printed where one of them cannot be read.
 * @throws PatchbayError `bad_input` where a folder holds no run, or one without true effects and circuits; `damaged_artifact`.
 */
export async function tablesCommand(folders: readonly string[], { json }: { readonly json: boolean }): Promise<void> {
  const runs: RunTables[] = [];
  for (const folder of folders) runs.push(await tablesOfRun(folder));
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error; // A reader that has seen enough, such as `head`, is no failure.
  });
  process.stdout.write(`${json ? JSON.stringify(runs.map(runJson)) : runs.map(runText).join("\n\n")}\n`);
}

function runText({ name, folder, sections }: RunTables, _: number, { length }: readonly RunTables[]): string {
  return (length === 1 ? "" : `# ${name} (${folder})\n\n`) + toMarkdown(sections);
}

/** The same with the values of cells: numbers, and estimates as `{ value, low, high }`, null where undefined. */
function runJson({ name, folder, sections }: RunTables) {
  const valuesOf = (rows: Table["rows"]) => rows.map((row) => row.map(({ value }) => value));
  return {
    run: name,
    folder,
    sections: sections.map(({ title, tables }) => ({
      title,
      tables: tables.map(({ title: headline, columns, rows }) => ({ title: headline, columns, rows: valuesOf(rows) })),
    })),
  };
}
