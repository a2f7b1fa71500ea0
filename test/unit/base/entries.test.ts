import { existsSync } from "node:fs";
import { relative } from "node:path";
import { expect, test } from "vitest";
import { builderFile, COMMAND, ENTRY_NAMES, entryFile } from "../../../src/base/entries.js";

test("every module that is started by name is a source file, and every script is there", () => {
  const sources = ENTRY_NAMES.map((name) =>
    relative(".", entryFile(name))
      .replace(/^dist\//, "src/")
      .replace(/\.js$/, ".ts"),
  );
  for (const file of [...sources, builderFile("torch"), builderFile("tensorflow"), COMMAND])
    expect([file, existsSync(file)]).toEqual([file, true]);
});
