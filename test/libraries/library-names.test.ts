/** @file The names of hooks that test/fixtures/library-names.json holds are those of the installed TransformerLens and SAELens. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { askLibraries } from "./run-python.js";

interface LibraryNames {
  readonly versions: Readonly<Record<string, string>>;
  readonly hooks: Readonly<Record<string, readonly number[]>>;
}

test("hooks and shapes of the fixture are those of the installed TransformerLens and SAELens", (context) => {
  const { versions, hooks } = askLibraries(context, "library_names.py") as LibraryNames;
  const fixture = JSON.parse(readFileSync("test/fixtures/library-names.json", "utf8")) as LibraryNames;
  console.log(`compared with ${JSON.stringify(versions)}`);
  expect(hooks).toMatchObject(fixture.hooks);
});
