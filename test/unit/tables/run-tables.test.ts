/** @file Folders that `patchbay tables` cannot read: what it says, and what to do. */
import { appendFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { runPaths } from "../../../src/run/run-folder.js";
import { tablesOfRun } from "../../../src/tables/run-tables.js";
import { writeSyntheticRun, type SyntheticOptions } from "../report/synthetic-run.js";

const folders: string[] = [];
const synthetic = (options: SyntheticOptions): string => {
  const folder = writeSyntheticRun(options);
  folders.push(folder);
  return folder;
};
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const EMPTY = { without: ["truth.parquet", "circuits.parquet"] };

describe("the tables of a run are refused", () => {
  test("where the folder holds no run", async () => {
    await expect(tablesOfRun(join("runs", "nowhere"))).rejects.toMatchObject({
      code: "bad_input",
      message:
        "runs/nowhere: expected the folder of a run, which holds run.json: name the folder that `patchbay run` wrote to",
    });
  });

  test("where its sweep asked for nothing that they show", async () => {
    await expect(tablesOfRun(synthetic(EMPTY))).rejects.toThrow(
      /expected true effects or circuits, found none: its sweep has none of `truth`, `circuits` and `experiments`; add one/,
    );
  });

  test("where it has not come that far", async () => {
    await expect(tablesOfRun(synthetic({ ...EMPTY, run: { status: "running", ended: null } }))).rejects.toThrow(
      /found none: the run has not ended; see it to its end with patchbay run or patchbay watch/,
    );
  });

  test("where an artifact is not as it was written", async () => {
    const folder = synthetic({ without: ["truth.parquet"] });
    appendFileSync(runPaths(folder).artifact("circuits.parquet"), "x");
    await expect(tablesOfRun(folder)).rejects.toMatchObject({ code: "damaged_artifact" });
  });
});

test("a run that has circuits alone has their table alone", async () => {
  const { sections } = await tablesOfRun(synthetic({ without: ["truth.parquet"] }));
  expect(sections.map(({ title }) => title)).toEqual(["Circuits"]);
});
