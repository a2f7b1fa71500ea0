/** @file The report in a real browser: every figure is seen, in both colour schemes and on narrow screens, and nothing is fetched. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findChromium } from "../../scripts/chromium.js";
import { runPaths } from "../../src/run/run-folder.js";
import { writeReport } from "../../src/report/write-report.js";
import { isLeftOut } from "../left-out.js";
import { writeSyntheticRun } from "../unit/report/synthetic-run.js";
import { CHROMIUM_FLAGS } from "./chromium-flags.js";
import { REGISTER } from "../../src/experiments/registry.js";

const FIGURES = [
  "truth-atp",
  "truth-zero",
  "maps-error-atp",
  "maps-feature-atp",
  "correlations",
  "layers-error",
  "calibration",
  "recall",
  "scores-atp",
  "scores-zero",
  "components",
  "faithfulness",
];
const SCHEMES = ["light", "dark"] as const;
/** Set to a folder to keep pictures of what the tests saw. */
const SCREENSHOTS = process.env["PATCHBAY_SCREENSHOTS"];

const chromiumPath = findChromium();
const leftOut = isLeftOut(chromiumPath);

let browser: Browser;
let folder = "";

beforeAll(async () => {
  folder = writeSyntheticRun();
  await writeReport(REGISTER, folder);
  if (chromiumPath === null)
    throw new Error("no chromium here: run `node scripts/chromium.js`, which fetches one or says why not");
  browser = await chromium.launch({ executablePath: chromiumPath, args: CHROMIUM_FLAGS });
});

afterAll(async () => {
  await browser.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What a page did that it must not do. */
interface Opened {
  readonly page: Page;
  readonly complaints: string[];
  readonly requests: string[];
}

async function open(path: string, scheme: (typeof SCHEMES)[number], width = 1280): Promise<Opened> {
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme: scheme });
  const complaints: string[] = [];
  const requests: string[] = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => requests.push(request.url()));
  await page.goto(pathToFileURL(path).href);
  return { page, complaints, requests };
}

/** Red, green and blue, 0 to 255, of a computed colour. */
function channels(color: string): number[] {
  return [...color.matchAll(/[\d.]+/g)].slice(0, 3).map(([number]) => Number(number));
}

/** Contrast of two colours. Source: WCAG 2.2, relative luminance and contrast ratio. */
function contrast(a: string, b: string): number {
  const luminance = (color: string): number => {
    const [red = 0, green = 0, blue = 0] = channels(color).map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const [low = 0, high = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

describe.skipIf(leftOut).each(SCHEMES)("in the %s scheme", (scheme) => {
  let opened: Opened;
  beforeAll(async () => {
    opened = await open(runPaths(folder).report, scheme);
    if (SCREENSHOTS !== undefined) {
      mkdirSync(SCREENSHOTS, { recursive: true });
      await opened.page.screenshot({ path: join(SCREENSHOTS, `report-${scheme}.png`), fullPage: true });
    }
  });
  afterAll(async () => {
    await opened.page.close();
  });

  test.each(FIGURES)("%s is visible and drawn", async (id) => {
    const figure = opened.page.locator(`figure#${id}`);
    await figure.scrollIntoViewIfNeeded();
    expect(await figure.isVisible()).toBe(true);
    const panels = await figure.locator(".panel > svg").all();
    expect(panels.length).toBeGreaterThan(0);
    for (const panel of panels) {
      const box = await panel.boundingBox();
      expect(box?.width).toBeGreaterThan(150);
      expect(box?.height).toBeGreaterThan(90);
      expect(await panel.locator("circle, rect, path").count()).toBeGreaterThan(4);
    }
  });

  test("marks lie within their panels", async () => {
    const outside = await opened.page.evaluate(`[...document.querySelectorAll(".panel > svg")].flatMap((svg) => {
      const frame = svg.getBoundingClientRect();
      return [...svg.querySelectorAll("circle, rect:not(clipPath rect), text")].filter((mark) => {
        const box = mark.getBoundingClientRect();
        const x = (box.left + box.right) / 2;
        const y = (box.top + box.bottom) / 2;
        return x < frame.left - 1 || x > frame.right + 1 || y < frame.top - 1 || y > frame.bottom + 1;
      }).map((mark) => svg.getAttribute("aria-label") + ": " + mark.outerHTML.slice(0, 120));
    })`);
    expect(outside).toEqual([]);
  });

  test("text stands out from the page", async () => {
    const colors = await opened.page.evaluate<
      string[][]
    >(`[...document.querySelectorAll("p, td, th, h1, h2, h3, h4, figcaption, dd, dt, nav a, svg text")].map((one) => [
      getComputedStyle(one).getPropertyValue(one instanceof SVGElement ? "fill" : "color"), getComputedStyle(document.body).backgroundColor])`);
    expect(colors.length).toBeGreaterThan(500);
    for (const [ink = "", paper = ""] of colors) expect(contrast(ink, paper)).toBeGreaterThan(4.5);
  });

  test("points stand out from the page", async () => {
    const fills = await opened.page.evaluate<string[]>(
      `[...new Set([...document.querySelectorAll("figure circle")].map((one) => getComputedStyle(one).fill))]`,
    );
    const paper = scheme === "light" ? "rgb(255, 255, 255)" : "rgb(20, 23, 28)";
    for (const fill of fills.filter((color) => color !== "none"))
      expect(contrast(fill, paper), fill).toBeGreaterThan(2.5);
  });

  test("the browser has nothing to complain of and fetches nothing", () => {
    expect(opened.complaints).toEqual([]);
    expect(opened.requests).toEqual([pathToFileURL(runPaths(folder).report).href]);
  });

  test.each([400, 768, 1280])("the page does not scroll sideways at %i px", async (width) => {
    const { page } = await open(runPaths(folder).report, scheme, width);
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(width);
    if (SCREENSHOTS !== undefined)
      await page.screenshot({ path: join(SCREENSHOTS, `top-${scheme}-${String(width)}.png`) });
    await page.close();
  });

  test.each(FIGURES)("%s.svg opens on its own with a background of its own", async (id) => {
    const { page, complaints, requests } = await open(join(runPaths(folder).figures, `${id}.svg`), scheme);
    const [ink, paper] = await page.evaluate<[string, string]>(
      `[getComputedStyle(document.documentElement).color, getComputedStyle(document.querySelector(".surface")).fill]`,
    );
    expect(contrast(ink, paper)).toBeGreaterThan(7);
    expect(channels(paper).every((channel) => (scheme === "light" ? channel > 200 : channel < 60))).toBe(true);
    expect(complaints).toEqual([]);
    expect(requests).toHaveLength(1);
    if (SCREENSHOTS !== undefined) await page.screenshot({ path: join(SCREENSHOTS, `${id}-${scheme}.png`) });
    await page.close();
  });
});

test.skipIf(leftOut)("every entry of the contents leads to its section", async () => {
  const { page } = await open(runPaths(folder).report, "light");
  const links = await page.locator("nav a").all();
  expect(links.length).toBeGreaterThan(8);
  for (const link of links) {
    await link.click();
    const target = (await link.getAttribute("href")) ?? "";
    const box = await page.locator(target).boundingBox();
    // The last sections cannot reach the top of the window, but must be inside it.
    expect(box?.y).toBeLessThan(900);
  }
  await page.close();
});

test.skipIf(leftOut)("the page says everything without scripts", async () => {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(pathToFileURL(runPaths(folder).report).href);
  expect(await page.locator("figure .panel > svg").count()).toBeGreaterThan(20);
  expect(await page.locator("h1").textContent()).toBe("synthetic");
  await context.close();
});
