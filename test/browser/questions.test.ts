/** @file The report's script in a real browser: nodes are pointed at, kept, searched and filtered, tables sorted, axes changed. */
import { rmSync } from "node:fs";
import { pathToFileURL } from "node:url";
import axe from "axe-core";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { findChromium } from "../../scripts/chromium.js";
import { REGISTER } from "../../src/experiments/registry.js";
import { writeReport } from "../../src/report/write-report.js";
import { runPaths } from "../../src/run/run-folder.js";
import { isLeftOut } from "../left-out.js";
import { writeSyntheticRun } from "../unit/report/synthetic-run.js";
import { CHROMIUM_FLAGS } from "./chromium-flags.js";

const chromiumPath = findChromium();
const leftOut = isLeftOut(chromiumPath);

let browser: Browser;
let folder = "";
let page: Page;
let complaints: string[] = [];

beforeAll(async () => {
  folder = writeSyntheticRun({ name: "asked <b>&" });
  await writeReport(REGISTER, folder);
  if (chromiumPath === null) throw new Error("no chromium here: run `node scripts/chromium.js`");
  browser = await chromium.launch({ executablePath: chromiumPath, args: CHROMIUM_FLAGS });
});

afterAll(async () => {
  await browser.close();
  rmSync(folder, { recursive: true, force: true });
});

beforeEach(async () => {
  page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  complaints = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(address());
});

afterEach(async () => {
  expect(complaints).toEqual([]);
  await page.close();
});

const address = (node = ""): string => pathToFileURL(runPaths(folder).report).href + node;
const textOf = async (selector: string): Promise<string> => (await page.locator(selector).first().textContent()) ?? "";

/** A scatter of errors, with its largest point at the right end of the keys' walk. */
const scatter = () => page.locator("figure#truth-atp .panel > svg").first();

/** Texts of a column of the table of strongest nodes. */
const column = async (index: number): Promise<string[]> =>
  await page
    .locator(`#strongest table >> nth=0 >> tbody td:nth-child(${String(index)})`)
    .evaluateAll((cells) =>
      (cells as unknown as { firstChild: { textContent: string } }[]).map((cell) => cell.firstChild.textContent),
    );

const asNumber = (text: string): number => Number(text.replace("−", "-"));

/** Rules of accessibility that the page breaks, with the first place of each. */
async function violations(): Promise<string[]> {
  await page.evaluate(axe.source);
  return await page.evaluate<string[]>(
    `axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + ": " + nodes[0].html.slice(0, 200)))`,
  );
}

describe.skipIf(leftOut)("a node", () => {
  test("says what it is where the pointer is, and is lit in every figure of it once it is clicked", async () => {
    const circle = page.locator("figure#truth-atp .panel >> nth=0 >> circle").first();
    await circle.scrollIntoViewIfNeeded();
    const box = await circle.boundingBox();
    await page.mouse.move((box?.x ?? 0) + 4, (box?.y ?? 0) + 3);
    const said = await textOf(".tip");
    expect(said).toMatch(/^error\s*attn_z, layer \d, position \d/);
    expect(said).toMatch(/true effect.*AtP.*off by.*zero-ablation AtP.*prompts18/);
    expect(said.match(/off by/g)).toHaveLength(1);
    expect(await page.locator(".card").isVisible()).toBe(false);
    await page.mouse.down();
    await page.mouse.up();
    expect(await page.locator(".card").isVisible()).toBe(true);
    for (const id of ["truth-atp", "truth-zero", "maps-error-atp", "scores-atp", "components", "correlations"])
      expect(await page.locator(`figure#${id} .kept`).count(), id).toBeGreaterThan(0);
    expect(await page.locator("figure#maps-feature-atp .kept").count()).toBe(0);
    expect(page.url()).toMatch(/#node=attn_z\.\d\.\d\.error\.-1$/);
  });

  test("is kept again by the page's address, and let go by Escape", async () => {
    await page.goto("about:blank");
    await page.goto(address("#node=resid_post.4.3.error.-1"));
    expect(await textOf(".card")).toContain("resid_post, layer 4, position 3");
    await page.keyboard.press("Escape");
    expect(await page.locator(".card").isVisible()).toBe(false);
    expect(await page.locator(".kept").count()).toBe(0);
  });

  test("is linked to its page where it is a feature of a published SAE, and only there", async () => {
    const pages: Record<string, number> = {};
    for (const node of ["resid_post.1.2.feature.0", "resid_post.2.2.feature.0", "resid_post.1.2.error.-1"]) {
      await page.goto("about:blank");
      await page.goto(address(`#node=${node}`));
      expect(await page.locator(".card").isVisible(), node).toBe(true);
      pages[node] = await page.locator('.card a[href="https://www.neuronpedia.org/tiny/1-scope-res-8/0"]').count();
    }
    expect(Object.values(pages)).toEqual([1, 0, 0]);
  });

  test("shows the word at its position, and its prompts of largest effect, as text", async () => {
    await page.goto("about:blank");
    await page.goto(address("#node=resid_post.4.3.error.-1"));
    const said = await textOf(".card");
    expect(said).toContain("resid_post, layer 4, position 3 “<b>”");
    expect(said).toContain("that of line 1 of the dataset");
    const items = await page.locator(".card li").allTextContents();
    expect(items).toHaveLength(3);
    expect(items[0]).toMatch(/^−?[\d.]+ The cat (<b>|that) sees & \(line \d+\)$/);
    const sizes = items.map((item) => Math.abs(asNumber(item.split(" ")[0] ?? "")));
    expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
    expect(await page.locator(".card b, .tip b").count()).toBe(0);
  });

  test("is lit at its layer, in every figure of layers where its position is drawn", async () => {
    const panel = page.locator("figure#layers-error .panel").filter({ hasText: /^mlp_out, position 5/ });
    const dot = panel.locator("circle.place").nth(2);
    await dot.scrollIntoViewIfNeeded();
    await dot.dispatchEvent("click");
    expect(await textOf(".card")).toContain("mlp_out, layer 2, position 5 “&”");
    expect(await panel.locator("circle.kept").count()).toBe(1);
    expect(await page.locator("figure#layers-error .kept").count()).toBe(1);
  });

  test("is reached by keys: arrows walk from left to right, Enter keeps", async () => {
    await scatter().focus();
    await page.keyboard.press("ArrowLeft");
    const last = await textOf(".tip");
    await page.keyboard.press("ArrowLeft");
    expect(await textOf(".tip")).not.toBe(last);
    await page.keyboard.press("ArrowRight");
    expect(await textOf(".tip")).toBe(last);
    await page.keyboard.press("Enter");
    expect(await textOf(".card")).toContain(last.slice(0, 30));
  });

  test("is followed from its row in a table", async () => {
    const name = page.locator("#strongest button.node").first();
    await name.click();
    expect(await name.getAttribute("aria-pressed")).toBe("true");
    expect(await page.locator("#strongest tr.lit-row").count()).toBeGreaterThan(0);
    expect(await page.locator("figure#truth-atp .kept").count()).toBe(1);
  });
});

describe.skipIf(leftOut)("a question", () => {
  test("by kind, site and layer finds its nodes, and pales the others", async () => {
    await page.selectOption("select[name=kind]", "feature");
    await page.selectOption("select[name=site]", "mlp_out");
    await page.fill("input[name=from]", "3");
    expect(await textOf("form output")).toBe("24 of 270 nodes; the first 20 are listed");
    expect(await page.locator("form tbody tr").count()).toBe(20);
    expect(await page.locator("figure#truth-atp .panel >> nth=0 >> path.pale").count()).toBeGreaterThan(0);
    expect(await page.locator("figure#truth-atp .panel >> nth=0 >> path.asked").count()).toBe(0);
    expect(await page.locator("figure#truth-atp .panel >> nth=4 >> path.asked").count()).toBe(2);
    await page.click("button[type=reset]");
    await expect.poll(async () => await textOf("form output")).toContain("270 of 270 nodes");
    expect(await page.locator("path.pale").count()).toBe(0);
  });

  test("by words, position and size too", async () => {
    await page.fill("input[name=words]", "feature 3");
    const names = await page.locator("form tbody button.node").allTextContents();
    expect(new Set(names)).toEqual(new Set(["feature 3"]));
    await page.selectOption("select[name=position]", "3");
    expect(await textOf("form output")).toBe("0 of 270 nodes");
    await page.selectOption("select[name=position]", "5");
    expect(await textOf("form output")).toMatch(/^30 of 270 nodes/);
    await page.fill("input[name=size]", "0.1");
    const large = Number.parseInt(await textOf("form output"));
    expect(large).toBeGreaterThan(0);
    expect(large).toBeLessThan(30);
  });

  test("has an answer that is sorted over all that was found", async () => {
    await page.click("form th:nth-child(5) button");
    await page.click("form th:nth-child(5) button");
    const effects = (await page.locator("form tbody td:nth-child(5)").allTextContents()).map(asNumber);
    expect(effects).toEqual([...effects].sort((a, b) => a - b));
    expect(effects[0]).toBeLessThan(0);
  });
});

describe.skipIf(leftOut)("tables and axes", () => {
  test("a head sorts its column down and up, by click and by key, and says so", async () => {
    const head = page.locator("#strongest table >> nth=0 >> th:nth-child(6)");
    await head.locator("button").click();
    expect(await head.getAttribute("aria-sort")).toBe("descending");
    const down = (await column(6)).map(asNumber);
    expect(down).toEqual([...down].sort((a, b) => b - a));
    await head.locator("button").focus();
    await page.keyboard.press("Enter");
    expect(await head.getAttribute("aria-sort")).toBe("ascending");
    expect((await column(6)).map(asNumber)).toEqual([...down].reverse());
  });

  test("rows that continue others stay with them", async () => {
    const folded = page
      .locator("#statistics details")
      .filter({ has: page.locator("caption", { hasText: /^AtP, plain statistics within strata$/ }) });
    await folded.locator("summary").click();
    await folded.locator("th >> nth=3 >> button").click();
    const rows = await folded.locator("tbody tr").all();
    const cells = await Promise.all(rows.map(async (row) => (await row.locator("td").allTextContents()).slice(0, 2)));
    expect(cells.map(([, stratum]) => stratum)).toEqual(["all", "remainder", "all", "remainder", "all", "remainder"]);
    expect(cells.map(([nodes]) => nodes?.startsWith("SAE features"))).toEqual([true, false, true, false, true, false]);
  });

  test("change to ranks and back to what is printed", async () => {
    const figure = page.locator("figure#truth-atp");
    const ticks = async (): Promise<string[]> =>
      await figure.locator(".panel >> nth=0 >> svg text:visible").allTextContents();
    const before = await ticks();
    const start = await figure.locator("input:checked").getAttribute("value");
    await figure.locator("input[value=rank]").check();
    expect(await ticks()).toEqual(expect.arrayContaining(["1", "20", "ranks, smallest first"]));
    const points = await figure
      .locator(".panel >> nth=0 >> path.asked")
      .evaluateAll((paths) =>
        paths.map((path) => (path as { getAttribute(name: string): string }).getAttribute("d")).join(""),
      );
    expect(points.match(/h0/g)).toHaveLength(20);
    await figure.locator(`input[value=${start ?? ""}]`).check();
    expect(await ticks()).toEqual(before);
  });
});

describe.skipIf(leftOut)("everybody", () => {
  test.each(["light", "dark"] as const)("finds no fault of accessibility in the %s scheme", async (colorScheme) => {
    await page.emulateMedia({ colorScheme });
    await page.click("#strongest button.node >> nth=0");
    expect(await violations()).toEqual([]);
  });

  test("sees no sideways scroll at 390 px, with a node kept", async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    await page.click("#strongest button.node >> nth=0");
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(390);
    const card = await page.locator(".card").boundingBox();
    expect((card?.x ?? 0) + (card?.width ?? 0)).toBeLessThanOrEqual(390);
  });

  test("prints figures and tables without what only a screen can use", async () => {
    await page.click("#strongest button.node >> nth=0");
    await page.emulateMedia({ media: "print" });
    for (const selector of ["form", ".axes", ".card", "nav"])
      expect(await page.locator(selector).first().isVisible(), selector).toBe(false);
    expect(await page.locator("figure#truth-atp .panel > svg").first().isVisible()).toBe(true);
    expect(await page.locator("#strongest table").first().isVisible()).toBe(true);
  });
});
