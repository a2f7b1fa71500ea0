/** @file The report of a synthetic run: what it says, what it leaves out and why, and that its files are the same each time. */
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { parseHTML } from "linkedom";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { must } from "../../../src/base/assert.js";
import type { Plan } from "../../../src/plan/plan.js";
import { readArtifactSums, writeArtifactSums } from "../../../src/run/artifact-sums.js";
import { writeArtifact } from "../../../src/run/artifacts.js";
import { readPlan, readRunFile, runPaths } from "../../../src/run/run-folder.js";
import { writeReport } from "../../../src/report/write-report.js";
import { writeSyntheticRun, type SyntheticOptions } from "./synthetic-run.js";
import { REGISTER } from "../../../src/experiments/registry.js";

const folders: string[] = [];

/** Writes a synthetic run and its report; returns the folder and the page's text. */
async function report(options: SyntheticOptions = {}): Promise<{ folder: string; html: string }> {
  const folder = writeSyntheticRun(options);
  folders.push(folder);
  await writeReport(REGISTER, folder);
  return { folder, html: readFileSync(runPaths(folder).report, "utf8") };
}

const planOf = (folder: string): Plan => readPlan(folder, readRunFile(folder).plan_hash);
const figureFiles = (folder: string): string[] => readdirSync(runPaths(folder).figures).sort();
const readFigure = (folder: string, name: string): string => readFileSync(join(runPaths(folder).figures, name), "utf8");

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

describe("a complete run", () => {
  let folder = "";
  let html = "";
  beforeAll(async () => {
    ({ folder, html } = await report());
  });

  test("opens with the question, the answer with intervals, and the weakest place", () => {
    const header = /<header>.*<\/header>/s.exec(html)?.[0] ?? "";
    expect(header).toContain("How well do AtP and zero-ablation AtP predict the true effect of patching a node?");
    expect(header).toContain("18 prompts of rc.test.jsonl");
    expect(header).toMatch(
      /<strong>AtP<\/strong> agrees with true patching for SAE errors at <strong>r = \.\d\d \[[^\]]+\]/,
    );
    expect(header).toMatch(/It (fails|is lowest) for SAE \w+ at \w+/);
    expect(header).toMatch(
      /The smallest circuit whose estimate reaches at least 80 % of the metric has <strong>[\d\u202f]+ nodes/,
    );
  });

  test("has every section, and no section says that something is missing", () => {
    for (const id of [
      "truth",
      "positions",
      "statistics",
      "reliability",
      "strongest",
      "scores",
      "circuits",
      "dropped",
      "definitions",
      "provenance",
    ]) {
      expect(html).toContain(`<section id="${id}">`);
      expect(html).toContain(`<a href="#${id}">`);
    }
    expect(html).not.toContain('class="absent"');
    expect(html).not.toContain('class="banner"');
  });

  test("names the earlier runs whose results were reused, and their plans", () => {
    expect(html).toContain("shards from the run tiny-earlier: means 7 of 7, circuits 3 of 4");
    expect(html).toContain(`<code>${"d".repeat(64)}</code>`);
  });

  test("fetches nothing, and runs its own script alone", () => {
    expect(html.match(/<script/g)).toHaveLength(2);
    const script = /<script type="module">(.*?)<\/script>/s.exec(html)?.[1] ?? "";
    const hash = createHash("sha256").update(script).digest("base64");
    expect(html).toContain(`script-src &#39;sha256-${hash}&#39;"`);
    expect(html).not.toMatch(/<iframe|@import|url\((?!#)/);
    expect(html.match(/(?:src|href)="(?:https?:)?\/\//g)).toBeNull();
    expect(html).toContain("default-src 'none'");
  });

  test("writes a figure file and a table for every figure, and links both", () => {
    const ids = [...html.matchAll(/<figure id="([^"]+)"/g)].map((match) => match[1] ?? "");
    expect(ids).toEqual([
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
    ]);
    for (const id of ids) {
      expect(figureFiles(folder)).toContain(`${id}.svg`);
      expect(readFigure(folder, `${id}.csv`).split("\n").length).toBeGreaterThan(5);
      expect(html).toContain(`href="report/${id}.svg"`);
    }
    for (const match of html.matchAll(/href="(report\/[^"]+)"/g))
      expect(existsSync(join(folder, match[1] ?? ""))).toBe(true);
  });

  test("draws figures that are well-formed, adapt to the colour scheme and hold no undefined coordinate", () => {
    for (const name of figureFiles(folder).filter((file) => file.endsWith(".svg"))) {
      const svg = readFigure(folder, name);
      expect(svg).toContain("prefers-color-scheme:dark");
      expect(svg).toMatch(/^<svg xmlns/);
      expect(svg).not.toMatch(/NaN|undefined|Infinity/);
      const { document } = parseHTML(svg) as unknown as {
        document: { querySelectorAll: (selector: string) => { length: number } };
      };
      expect(document.querySelectorAll("circle, rect, path").length).toBeGreaterThan(10);
    }
    expect(html.replace(/<script.*?<\/script>/gs, "")).not.toMatch(/NaN|undefined|Infinity/);
  });

  test("shows points for the nodes that enter the statistics, and the fitted line", () => {
    const svg = readFigure(folder, "truth-atp.svg");
    // 15 sites, 4 positions with effects for errors; 12 features each.
    expect(svg.match(/<circle |M[-\d.]+ [-\d.]+h0/g)).toHaveLength(15 * 4 + 15 * 12);
    expect(svg).toMatch(/r = \.\d\d \[\.\d\d, (\.\d\d|1\.00)\] {3}all 20 nodes/);
    expect(readFigure(folder, "truth-atp.csv").trimEnd().split("\n")).toHaveLength(1 + 15 * 4 + 15 * 12);
  });

  test("says on every axis of positions what stands there in one prompt, and whose words they are", () => {
    for (const id of ["maps-error-atp", "correlations", "scores-atp"]) {
      expect(readFigure(folder, `${id}.svg`), id).toContain(">3 &lt;b&gt;</text>");
      expect(readFigure(folder, `${id}.svg`), id).toContain("tokens of one prompt, line 1 of the dataset; others have other tokens there."); // prettier-ignore
    }
    expect(readFigure(folder, "scores-atp.svg")).toContain("position 5 “&amp;”");
  });

  test("shows calibration of what estimates the effect, and recall beside chance", () => {
    expect(readFigure(folder, "calibration.csv")).not.toMatch(/^zero/m);
    expect(readFigure(folder, "recall.svg")).toMatch(/recall at 10 [.\d]+( \[[^\]]+\])?\nby chance \.\d\d/);
    expect(readFigure(folder, "recall.csv").split("\n")[0]).toContain("recall,low,high,chance");
  });

  test("marks the estimator of another effect", () => {
    expect(readFigure(folder, "truth-zero.svg")).toContain("agreement is not expected");
    expect(readFigure(folder, "truth-atp.svg")).not.toContain("agreement is not expected");
  });

  test("says of how many nodes the measured ones are, and lists plain statistics within strata only", () => {
    const statistics = /<section id="statistics">.*?<\/section>/s.exec(html)?.[0] ?? "";
    // 12 features at each of five layers, half of which stand for five.
    expect(statistics).toContain("60 of 180 nodes");
    expect(statistics).toContain("all 20 nodes");
    const strata = statistics
      .split("<table")
      .find((table) => table.includes("<caption>AtP, plain statistics within strata"));
    expect(strata).toContain("30 of 150 nodes");
    expect(strata).not.toContain("60 of 180 nodes");
    expect(statistics).toContain("of all, at most");
  });

  test("compares the scores, and calls no interval of few clusters one of 95 %", () => {
    const statistics = /<section id="statistics">.*?<\/section>/s.exec(html)?.[0] ?? "";
    expect(statistics).toContain("AtP − zero-ablation AtP");
    expect(html).toContain(
      "18 prompts form 18 clusters: intervals of agreement over so few are rough, and none of them is called 95 %",
    );
    expect(html).toContain("over each frame of nodes [rough interval over 18 clusters of prompts and the drawn nodes]");
    expect(statistics).not.toMatch(/95\s%(?! confidence)/);
  });

  test("tells dropped rows with their reasons, and where everything comes from", () => {
    expect(html).toContain("<code>unequal_length</code>");
    expect(readFigure(folder, "dropped.csv")).toBe("line,reason\n3,merge\n9,unequal_length\n");
    expect(html).toContain("a".repeat(64));
    expect(html).toContain("a worker was restarted");
    expect(html).toContain("seed 0");
  });

  test("names the file of each dropped row where there are several", async () => {
    const row = (file: string) => `{"file":"${file}","line":3,"reason":"merge"}\n`;
    const two = await report({ dropped: row("a.jsonl") + row("b.jsonl") });
    expect(readFigure(two.folder, "dropped.csv")).toBe("file,line,reason\na.jsonl,3,merge\nb.jsonl,3,merge\n");
    expect(two.html).toMatch(/<t[dh][^>]*>b\.jsonl</);
    const alike = await report({
      dropped: row("a.jsonl").replace("}", ',"use":"select"}') + row("a.jsonl").replace("}", ',"use":"evaluate"}'),
    });
    expect(readFigure(alike.folder, "dropped.csv")).toBe("use,line,reason\nselect,3,merge\nevaluate,3,merge\n");
    const one = await report({ dropped: row("a.jsonl") });
    expect(readFigure(one.folder, "dropped.csv")).toBe("line,reason\n3,merge\n");
  });

  test("says which rows chose, whatever the sweep asks for, and where they are of other lengths", async () => {
    const header = async (options: SyntheticOptions) => /<header>.*<\/header>/s.exec((await report(options)).html)?.[0];
    expect(await header({})).toContain("The same prompts chose nodes and means: all of it is in-sample.");
    const { sweep } = planOf(folder);
    const prompts = planOf(folder).prompts.map((prompt, p) => (p === 17 ? { ...prompt, clean: [2, 5] } : prompt));
    const inputs = { model: "m", saes: null, dataset: "e.jsonl", select: "s.jsonl", saeOptions: {} };
    const held = { run: { inputs }, plan: { prompts, evaluated: 17 } };
    expect(await header(held)).toContain(
      "with 17 prompts of e.jsonl. They were held out: 1 prompt of s.jsonl chose nodes and means. 17 of the evaluated prompts have a token count that none of those has",
    );
    const alike = { run: { inputs: { ...inputs, dataset: "/x/test/rc.jsonl", select: "/x/train/rc.jsonl" } } };
    expect(await header({ ...held, ...alike })).toContain("of test/rc.jsonl. They were held out: 1 prompt of train/rc.jsonl"); // prettier-ignore
    const exchanged = prompts.map((prompt, p) => (p === 17 ? { ...prompt, clean: [2, 5, 7, 7, 8, 9], corrupted: [2, 5, 6, 7, 8, 9] } : prompt)); // prettier-ignore
    expect(await header({ ...held, plan: { prompts: exchanged, evaluated: 17 } })).toContain(
      "chose nodes and means. But 17 of the evaluated prompts have the texts of one that chose, with other answers",
    );
    const alone = { ...held.plan, sweep: { ...sweep, truth: undefined, circuits: undefined } };
    const without = ["truth.parquet", "validation.json", "validation.parquet"];
    expect(await header({ ...held, plan: alone, without })).toContain(
      "What do the experiments of the sweep show? Measured on m with 17 prompts of e.jsonl. They were held out:",
    );
    const idle = await header({ plan: alone, without: [...without, "circuits.parquet"] });
    expect(idle).toContain("Scores and mean activations. Measured on tiny-gemma2 with 17 prompts of rc.test.jsonl.");
    expect(idle).not.toContain("in-sample");
  });

  test("names the run that scores and means are taken from, and how many prompts chose there", async () => {
    const page = async (shared: number): Promise<string> => {
      const from = { path: "/x/runs/sva", plan_hash: "0123456789ab", shared_prompts: shared };
      const inputs = { model: "m", saes: null, dataset: "e.jsonl", saeOptions: {}, from };
      return (await report({ run: { inputs } })).html;
    };
    const chose = "The run sva (plan 01234567) chose nodes and means";
    expect(await page(0)).toContain(`${chose}, by other prompts.`);
    expect(await page(3)).toContain(`${chose}. 3 of these prompts are among those that it chose by`);
    const whole = await page(18);
    expect(whole).toContain(`${chose}. All of these prompts are among`);
    expect(whole).toMatch(/scores and means<\/dt><dd>.*of the run sva.*<code>0123456789ab<\/code>/);
  });

  test("says on top by what run a filter kept the prompts", async () => {
    const filter = { from: "/x/runs/outliers", plan_hash: "0".repeat(64), rows: 300, measured: 100, kept: 18 };
    const [own, chose] = await Promise.all(
      ["dataset", "dataset.select"].map((dataset) => report({ run: { filtered: [{ ...filter, dataset }] } })),
    );
    const note = "with 18 prompts of rc.test.jsonl, kept for what the run outliers measured of them.";
    expect(own?.html).toContain(note);
    expect(chose?.html).not.toContain(note);
  });

  test("counts pairs of a fit that are measured too", async () => {
    const [prompt] = planOf(folder).prompts;
    const other = { ...must(prompt, "prompt"), correct: 12 };
    const { html: page } = await report({ plan: { fitPrompts: [other, must(prompt, "prompt")] } });
    expect(page).toContain("2 pairs used, 1 of which is measured too");
    expect((await report({ plan: { fitPrompts: [other] } })).html).toMatch(/1 pair used<\/span>/);
  });

  test("names inputs without the folders of this machine", async () => {
    const model = "/home/someone/models/tiny";
    const { html: page } = await report({
      run: {
        inputs: { model, saes: `${model}/saes/16k`, dataset: "/home/someone/rc.jsonl", saeOptions: {} },
        warnings: ["the cache at /home/someone/.cache/rates.json was not written; see https://a.example/b/c"],
        reason: "'/home/someone/x/y.npz' is cut off",
        status: "partial",
      },
    });
    expect(page).not.toContain("someone");
    for (const kept of [">tiny<", ">tiny/saes/16k<", ">rc.jsonl<", "…/rates.json", "https://a.example/b/c", "…/y.npz"])
      expect(page).toContain(kept);
  });

  test("writes the same files again, whatever run.json says of time and place", async () => {
    const again = await report({
      run: {
        started: "2030-01-01T00:00:00.000Z",
        inputs: { model: "/elsewhere/m", saes: null, dataset: "/elsewhere/d", saeOptions: {} },
      },
    });
    expect(figureFiles(again.folder)).toEqual(figureFiles(folder));
    for (const name of figureFiles(folder))
      expect(readFigure(again.folder, name) === readFigure(folder, name), name).toBe(true);
  });
});

describe("engine time", () => {
  test("stands beside what was expected of each stage and kind", async () => {
    const rate = { seconds: 2.5, units: 18, unit: "prompts", per_second: 7.2 };
    const stage = {
      shards: 1,
      units: 20,
      seconds: 3.25,
      elapsed_seconds: 3.25,
      seconds_by_part: { products: 3, traffic: 0.2, calls: 0.05 },
      flops: { layers: 1, attention: 0, encode: 0, decode: 0, unembed: 0 },
      bytes: 1,
      kernel_calls: 1,
      peak_mib: 321,
    };
    const prediction = {
      workers: 1,
      threads: 2,
      weights_mib: 5,
      peak_mib: 321,
      gemm_gflops: 9,
      stages: { "scores-atp": stage },
    };
    const { html } = await report({ run: { timings: { scores: { ...rate, by_kind: { atp: rate } } }, prediction } });
    expect(html).toContain("expected seconds");
    expect(html.match(/<td class="number">3\.25<\/td>/g)).toHaveLength(2);
    expect(html).toContain("321 MiB of memory were expected");
  });
});

describe("a run whose truth has another donor", () => {
  test("asks for its effect, answers with the score of that donor, and says which scores estimate another effect", async () => {
    const { folder, html } = await report({ donor: "zero" });
    expect(html).toContain("predict the true effect of setting a node to zero?");
    expect(html).toContain("<strong>Zero-ablation AtP</strong> agrees with true patching");
    expect(html).toContain("AtP estimates the effect of patching a node from the corrupted prompt, and not the measured one of setting a node to zero"); // prettier-ignore
    expect(html).toContain("base: clean prompt, donor: 0");
    expect(readFigure(folder, "truth-atp.svg")).toContain("agreement is not expected");
    expect(readFigure(folder, "truth-zero.svg")).not.toContain("agreement is not expected");
    expect(readFigure(folder, "calibration.csv")).not.toMatch(/^atp/m);
  });

  test("shows every score where no method estimates the effect, and says so", async () => {
    const { folder, html } = await report({ donor: "mean" });
    expect(html).toContain("predict the true effect of setting a node to its mean?");
    expect(html).toContain("AtP estimates the effect of patching a node from the corrupted prompt");
    expect(html).toContain("Zero-ablation AtP estimates the effect of setting a node to zero");
    expect(readFigure(folder, "calibration.csv")).toMatch(/^atp/m);
  });
});

test("a run that patches sets alone asks what that does, and counts them", async () => {
  const truth = { positions: ["all"], donor: "zero", joint: ["late"] };
  const sweep = { ...planOf((await report()).folder).sweep, truth, circuits: undefined };
  const without = ["validation.json", "validation.parquet", "truth.parquet", "circuits.parquet"];
  const folder = writeSyntheticRun({ plan: { sweep }, without });
  folders.push(folder);
  const numbers = { effect: -1, effect_sem: 0.1, normalised: -0.5, single_effects: null, single_effects_sem: null };
  const joint = [{ set: "late", size: 3, n: 18, ...numbers, scores: { atp: -2 } }];
  writeArtifact(folder, "validation.json", Buffer.from(JSON.stringify({ version: 2, groups: [], joint })));
  await writeReport(REGISTER, folder);
  const html = readFileSync(runPaths(folder).report, "utf8");
  expect(html).toContain("What does setting all nodes of a set to zero at once do? Measured on tiny-gemma2");
  expect(html).toContain("<dt>sets patched at once</dt><dd>1</dd>");
  expect(html).toContain("AtP estimates the effect of patching a node from the corrupted prompt, and not the measured");
  expect(html).not.toContain("nodes with the largest measured effects");
});

describe("a run that is not whole", () => {
  test("says so on top and names what was given up", async () => {
    const { html } = await report({
      without: ["circuits.parquet", "validation.json", "validation.parquet", "truth.parquet"],
      run: {
        status: "partial",
        reason: "1 shard was given up",
        quarantined: [
          { shard: "truth-error.00003", code: "out_of_memory", message: "block_mib is too large", prompts: [4, 5] },
        ],
      },
    });
    expect(html).toContain("<strong>This run is partial.</strong> 1 shard was given up");
    expect(html).toContain("<code>truth-error.00003</code> out_of_memory: block_mib is too large");
    expect(html).toContain("prompts touched: 2 of 18");
    expect(html).toContain("<li>Score against truth: the run is partial without it.</li>");
    expect(html).toContain("<li>Circuits: the run is partial without it.</li>");
    expect(html).not.toContain('<section id="truth">');
    expect(html.indexOf("This run is partial")).toBeLessThan(html.indexOf("How well do"));
  });

  test("has a report even with no artifact at all", async () => {
    const { folder, html } = await report({
      without: [
        "scores-atp.safetensors",
        "scores-zero.safetensors",
        "components.parquet",
        "validation.parquet",
        "validation.json",
        "truth.parquet",
        "circuits.parquet",
        "dropped.jsonl",
      ],
      run: { status: "failed", reason: "NATS went away" },
    });
    expect(html).toContain("This run has failed");
    expect(html.match(/<li>[^<]*: the run has failed without it\.<\/li>/g)?.length).toBeGreaterThan(5);
    expect(figureFiles(folder)).toEqual([]);
  });

  test("has the pages of published SAEs, and of no others", async () => {
    const { html } = await report();
    const [, table = ""] = /id="node-table">(.*?)<\/script>/s.exec(html) ?? [];
    const { pages } = JSON.parse(table) as { pages: unknown };
    expect(pages).toEqual({ "resid_post.1": "https://www.neuronpedia.org/tiny/1-scope-res-8" });
  });

  test("replaces the files of an earlier report", async () => {
    const { folder } = await report();
    rmSync(runPaths(folder).artifact("circuits.parquet"));
    writeArtifactSums(folder, new Map([...readArtifactSums(folder)].filter(([name]) => name !== "circuits.parquet")));
    await writeReport(REGISTER, folder);
    expect(figureFiles(folder)).not.toContain("faithfulness.svg");
  });

  test("names the file that cannot be read", async () => {
    const folder = writeSyntheticRun();
    folders.push(folder);
    writeArtifact(folder, "validation.json", Buffer.from('{"groups":[{"score":"atp"}]}'));
    await expect(writeReport(REGISTER, folder)).rejects.toThrow(
      /validation\.json: groups\.0\.kind: not the statistics/,
    );
  });
});

test("names are text, never markup", async () => {
  const { html } = await report({
    name: "a<script>alert(1)</script>&",
    run: { warnings: ['<img src=x onerror="alert(2)">'], reason: "<b>x</b>", status: "failed" },
  });
  expect(html).not.toMatch(/<script>|<img|<b>/);
  expect(html).toContain("a&lt;script&gt;alert(1)&lt;/script&gt;&amp;");
});
