/** @file What pages name is there: files, folders, headings of other pages, and npm's scripts. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { anchorsOf, codeOf, linksOf, pagePaths, readPage, ROOT } from "./pages.js";

const isThere = (path: string): boolean => existsSync(join(ROOT, path));

const pages = [
  ...pagePaths(),
  "CHANGELOG.md",
  ".github/pull_request_template.md",
  "deploy/README.md",
  "data/README.md",
];

/** Pages that come later, all at once. */
const TO_COME = isThere("docs/how-to") ? [] : ["docs/how-to/"];

test.each(pages)("every link of %s leads somewhere", (path) => {
  const broken = linksOf(path).filter((link) => {
    const [file = "", anchor] = link.split("#");
    if (TO_COME.some((folder) => file.startsWith(folder))) return false;
    return !isThere(file) || (anchor !== undefined && !anchorsOf(readPage(file)).includes(anchor));
  });
  expect(broken).toEqual([]);
});

/** Folders of the repository that pages name files of. */
const FOLDERS = "src|test|scripts|native|bench|data|proto|docs|bin";
/** What a build or a bench makes, and what stands for several files. */
const NOT_IN_A_CLONE = /^native\/build|\bbench-cuda-|[*<>{}]|[A-Z]{4}/;

test.each(pages)("every file of the repository that %s names is there", (path) => {
  const named = codeOf(readPage(path)).flatMap((code) =>
    Array.from(code.matchAll(new RegExp(`(?<![\\w./-])(?:${FOLDERS})/[\\w./*<>{}-]*[\\w/*>}]`, "g")), ([file]) => file),
  );
  const missing = named.filter(
    (file) => !NOT_IN_A_CLONE.test(file) && !isThere(file) && !isThere(join(dirname(path), file)),
  );
  expect(missing).toEqual([]);
});

test.each(pages)("every npm script that %s names is one", (path) => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { scripts: object };
  const named = codeOf(readPage(path)).flatMap((code) =>
    Array.from(code.matchAll(/\bnpm run (?:--silent )?([\w:-]+)/g), ([, script = ""]) => script),
  );
  expect(named.filter((script) => !Object.hasOwn(scripts, script))).toEqual([]);
});

test("the example in Python reads the groups of validation.json that are each of all nodes, and every kind of node of a circuit", () => {
  const [, example = ""] =
    /## Reading results in Python\n+```python\n(.*?)```/s.exec(readPage("docs/formats.md")) ?? [];
  for (const filter of ['groups["layer"].isna()', 'groups["position"].isna()', '~groups["global"]'])
    expect(example).toContain(filter);
  expect(example).toContain("weighted.pearson.value");
  expect(example).toContain('circuits.filter(regex="^n_")');
});
