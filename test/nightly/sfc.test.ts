/** @file `npm run sfc -- tiny`: every figure of the seed's post has its counterpart, and the index shows it. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";

/** Where the command puts its runs. What an earlier build left there has to be taken away first, as its message says. */
const OUT = "runs/sfc/tiny";

let index = "";
beforeAll(() => {
  const { status, stderr } = spawnSync(process.execPath, ["scripts/sfc.js", "tiny"], { encoding: "utf8" });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  index = readFileSync(join(OUT, "index.html"), "utf8");
});

it("shows figures that are there", () => {
  const figures = [...index.matchAll(/<img src="([^"]+)"/g)].map(([, path = ""]) => path);
  expect(figures).toHaveLength(16);
  for (const path of figures) expect(existsSync(join(OUT, path)), path).toBe(true);
});

it("links the report of every experiment", () => {
  const reports = [...index.matchAll(/<a href="([^"]+report\.html)"/g)].map(([, path = ""]) => path);
  expect(reports).toHaveLength(12);
  for (const path of reports) expect(existsSync(join(OUT, path)), path).toBe(true);
});
