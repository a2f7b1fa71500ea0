/**
 * @file How large the report of very many nodes is, and when its page answers: `node bench/report/report-bench.js`.
 *
 * 1. A run folder of seeded random effects and scores is written by the product's own writers, with 10,000 and with 100,000 nodes.
 * 2. `writeReport` makes its report. The time is that of the whole call.
 * 3. Chromium opens the page five times. It is interactive when the script has drawn the list of nodes, and a node that is clicked has
 *    its card: both are counted from the start of navigation, by the page's own clock. The median is printed.
 *
 * Statistics have few resamples: they decide no byte count and no time of a page. It writes report.json.
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { REGISTER } from "../../dist/experiments/registry.js";
import { writeReport } from "../../dist/report/write-report.js";
import { findChromium } from "../../scripts/chromium.js";
import { median, round } from "../figures.js";
import { machineFacts, RESULTS_OPTION, writeResults } from "../results.js";
import { writeLargeRun } from "./large-run.js";

const { values: flags } = parseArgs({
  options: {
    nodes: { type: "string", default: "10000,100000" },
    name: { type: "string", default: "report" },
    results: RESULTS_OPTION,
    keep: { type: "boolean", default: false },
  },
});
const OPENINGS = 5;
const MIB = 2 ** 20;

const executablePath = findChromium();
if (executablePath === null) throw new Error("no chromium here: run `node scripts/chromium.js`");
const results = [];
for (const nodes of flags.nodes.split(",").map(Number)) results.push(await measure(nodes));
const command = ["node bench/report/report-bench.js", ...process.argv.slice(2)].join(" ");
writeResults(flags.results, flags.name, { machine: machineFacts(), command, openings: OPENINGS, results });

async function measure(nodes) {
  const folder = mkdtempSync(join(tmpdir(), "patchbay-report-bench-"));
  try {
    await writeLargeRun(folder, nodes);
    const start = performance.now();
    await writeReport(REGISTER, folder);
    const made = (performance.now() - start) / 1000;
    const page = join(folder, "report.html");
    const opened = await openings(pathToFileURL(page).href);
    const figures = {
      nodes,
      mib: round(statSync(page).size / MIB),
      seconds_to_make: round(made),
      seconds_to_list: round(median(opened.map(({ listed }) => listed))),
      seconds_to_answer: round(median(opened.map(({ answered }) => answered))),
    };
    console.log(`${nodes} nodes: ${figures.mib} MiB, made in ${figures.seconds_to_make} s; listed after ${figures.seconds_to_list} s, answered after ${figures.seconds_to_answer} s`); // prettier-ignore
    return figures;
  } finally {
    if (flags.keep) console.log(`kept: ${folder}`);
    else rmSync(folder, { recursive: true, force: true });
  }
}

/** Seconds from the start of navigation to the list of nodes, and to a card after a click on its first. */
async function openings(address) {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const found = [];
  for (let i = 0; i < OPENINGS; i++) {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    await page.addInitScript(watchThePage);
    await page.goto(address);
    await page.waitForFunction("document.querySelector('.card')?.hidden === false");
    const [listed, answered] = /** @type {number[]} */ (await page.evaluate("window.times"));
    found.push({ listed: listed / 1000, answered: answered / 1000 });
    await page.close();
  }
  await browser.close();
  return found;
}

/** Runs in the page, before it: clicks the first node as soon as it is a button, and notes when its card was drawn. */
function watchThePage() {
  const page = /** @type {any} */ (globalThis);
  const look = () => {
    const button = page.document.querySelector("form tbody button.node");
    if (button === null) return page.requestAnimationFrame(look);
    const listed = page.performance.now();
    button.click();
    page.requestAnimationFrame(() => {
      page.setTimeout(() => (page.times = [listed, page.performance.now()]));
    });
  };
  page.requestAnimationFrame(look);
}
