/** @file `patchbay tables`: how each score of a run agrees with the true effects, and its circuits, as Markdown tables. */
import { printText } from "./print-text.js";
import { tablesOfRun, type RunTables } from "../tables/run-tables.js";
import { toMarkdown, toValues } from "../tables/table.js";

/**
 * Prints the tables of each run; of several, each under a headline. Nothing is printed where one of them cannot be read.
 * @throws PatchbayError `bad_input` where a folder holds no run, or one without true effects and circuits; `damaged_artifact`.
 */
export async function tablesCommand(folders: readonly string[], { json }: { readonly json: boolean }): Promise<void> {
  const runs: RunTables[] = [];
  for (const folder of folders) runs.push(await tablesOfRun(folder));
  printText(json ? JSON.stringify(runs.map(runJson)) : runs.map(runText).join("\n\n"));
}

function runText({ name, folder, sections }: RunTables, _: number, { length }: readonly RunTables[]): string {
  return (length === 1 ? "" : `# ${name} (${folder})\n\n`) + toMarkdown(sections);
}

function runJson({ name, folder, sections }: RunTables) {
  return { run: name, folder, sections: toValues(sections) };
}
