/** @file What the page of the study says stands in its tables: no number without its interval, and what it says of its prompts. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readPage, ROOT } from "./pages.js";

const NUMBER = String.raw`−?\d*\.\d+`;
const INTERVAL = new RegExp(String.raw`(${NUMBER}) \[(${NUMBER}), (${NUMBER})\]`, "g");

/** The part that says what came out, on one line, without links and file names. */
function findings(): string {
  const [, after = ""] = readPage("docs/results/gemma3-270m.md").split("## Summary");
  const [summary = ""] = after.split("### What this");
  return summary.replaceAll(/\]\([^)]*\)/g, "]").replaceAll(/\s+/g, " ");
}

/** `−.05 [−.07, −.02]` turned round: a difference may be told the other way. */
function negated(interval: string): string {
  const [value, low, high] = [...interval.matchAll(new RegExp(NUMBER, "g"))].map(([number]) =>
    number.startsWith("−") ? number.slice(1) : `−${number}`,
  );
  return `${value ?? ""} [${high ?? ""}, ${low ?? ""}]`.replaceAll("−.00", ".00");
}

/** What the page of the seed's experiments found. */
function experiments(): string {
  const [, found = ""] = readPage("docs/results/sfc-gemma3-270m.md").split("## What replicates");
  return found.replaceAll(/\]\([^)]*\)/g, "]").replaceAll(/\s+/g, " ");
}

/** What the reference says of the study. */
function reference(): string {
  return readPage("docs/reference.md").split("## 9.")[1] ?? "";
}

test.each([
  ["the study's findings", findings, 50, "gemma3-270m-tables.md"],
  ["the reference's last section", reference, 9, "gemma3-270m-tables.md"],
  ["the seed's experiments", experiments, 40, "sfc-gemma3-270m-tables.md"],
])("every interval of %s is in the tables", (_, text, fewest, file) => {
  const tables = readPage(`docs/results/${file}`);
  const intervals = [...text().matchAll(INTERVAL)].map(([interval]) => interval);
  expect(intervals.length).toBeGreaterThanOrEqual(fewest);
  const isThere = (interval: string): boolean => tables.includes(` ${interval} |`);
  expect(intervals.filter((interval) => !isThere(interval) && !isThere(negated(interval)))).toEqual([]);
});

test.each([
  ["the study's findings", findings],
  ["the seed's experiments", experiments],
])("no number of %s stands without an interval", (_, text) => {
  const rest = text().replaceAll(INTERVAL, "");
  expect(rest.match(new RegExp(NUMBER, "g")) ?? []).toEqual([]);
});

test("pairs of the study that are measured share their prompts with pairs that choose as often as its page says", () => {
  const rows = (file: string, limit: number): string[][] =>
    readFileSync(join(ROOT, "data", "english-agreement", file), "utf8")
      .split("\n", limit)
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Record<"clean_prefix" | "patch_prefix", string>)
      .map(({ clean_prefix: clean, patch_prefix: corrupted }) => [clean, corrupted]);
  const shared = ["simple", "within_rc", "nounpp", "rc"].map((template) => {
    const chose = new Set(rows(`${template}.train.jsonl`, 160).flat());
    const measured = rows(`${template}.test.jsonl`, 256);
    const isKnown = (prompt: string): boolean => chose.has(prompt);
    expect(measured.filter((pair) => pair.some(isKnown))).toEqual(measured.filter((pair) => pair.every(isKnown)));
    return `${String(measured.filter((pair) => pair.some(isKnown)).length)} of ${String(measured.length)}`;
  });
  expect(shared).toEqual(["160 of 160", "14 of 256", "1 of 256", "0 of 256"]);
});
