/**
 * @file `npm run sfc -- tiny|gemma3|gemma2`: the seed's experiments, data/sfc/a.yaml to h.yaml and two more, one after the other into
 * runs/sfc/NAME, and an index page of their reports. What is finished is not run again. Further arguments go to `patchbay run`
 * (`--estimate` plans and prices them alone).
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { ensureInstalled, ROOT, runStep } from "./install.js";
import { engineCount, torchOrWasm } from "./torch-or-wasm.js";

const FILES = join(ROOT, "data", "sfc");
const PATCHBAY = join(ROOT, "bin", "patchbay.js");
/** The models, each by its file in data/sfc and what must be there before. */
const MODELS = {
  tiny: { title: "the tiny model", file: "tiny.yaml" },
  gemma3: {
    title: "Gemma 3 270M",
    file: "gemma3-270m.yaml",
    fetched: "gemma-3-270m",
    saes: join(ROOT, ".cache", "gemma-3-270m-saes"),
  },
  gemma2: { title: "Gemma-2-2b", file: "gemma2-2b.yaml" },
};
/** The experiments in order, and the figures of each report that the index shows. */
const EXPERIMENTS = {
  a: ["scores-atp", "components"],
  b: ["truth-atp"],
  c: [],
  d: ["prompts-1"],
  "d-filtered": ["faithfulness"],
  e: ["grid-circuits"],
  f: ["grid-restore-top-k"],
  g: ["grid-heatmap"],
  h: ["grid-windows", "grid-windows-ablation", "grid-expanding"],
  methods: ["grid-chosen-by", "grid-chosen-by-how", "grid-relp-against-atp-how", "grid-at-random"],
  parts: ["grid-error-parts", "grid-error-parts-part"],
  zero: ["truth-zero", "truth-atp"],
};

/** Runs with one of these have tables. */
const TABLED = ["truth.parquet", "circuits.parquet"];

/** Figures are as wide as the page, and scroll where that is narrow. */
const FIGURES =
  "main figure img{max-width:100%}@media(max-width:48rem){main figure{overflow-x:auto}main figure img{max-width:none}}";

async function main() {
  const [name, ...options] = process.argv.slice(2);
  const model = MODELS[name];
  if (model === undefined)
    throw new Error(`expected npm run sfc -- ${Object.keys(MODELS).join("|")}, got ${name ?? "nothing"}`);
  if (!ensureInstalled() || !runStep("npm", ["run", "--silent", "build"]))
    throw new Error("the build failed (see above)");
  if (model.fetched !== undefined && !runStep(process.execPath, [PATCHBAY, "fetch", model.fetched]))
    throw new Error("the model could not be fetched (see above)");
  if (model.saes !== undefined && !existsSync(model.saes))
    throw new Error(
      "the SAEs are not trained here: npm run train-saes:gemma3-270m, which takes one to two hours of two cores",
    );
  const backend = name === "tiny" ? "wasm" : await torchOrWasm("hours");
  const out = join(ROOT, "runs", "sfc", name);
  mkdirSync(out, { recursive: true });
  for (const experiment of Object.keys(EXPERIMENTS)) {
    console.log(`\n${experiment}.yaml: ${aboutOf(experiment)}`);
    const isEstimate = options.includes("--estimate");
    if (isEstimate && experiment === "d-filtered" && !existsSync(join(out, "d", "run.json"))) {
      console.log("planned once d has run: it filters rows by what d measures");
      continue;
    }
    const files = [model.file, `${experiment}.yaml`].map((file) => join(FILES, file));
    const place = ["--out", join(out, experiment), "--backend", backend, "--workers", String(engineCount())];
    if (!runStep(process.execPath, [PATCHBAY, "run", ...files, ...place, ...options]))
      throw new Error(`${experiment}.yaml stopped (see above); the same command goes on`);
  }
  const page = join(out, "index.html");
  if (!existsSync(join(out, "h", "report.html"))) return;
  writeFileSync(page, await indexPage(model.title, out));
  const tables = join(out, "tables.md");
  writeFileSync(
    tables,
    await sfcTables(
      name,
      Object.keys(EXPERIMENTS).map((experiment) => join(out, experiment)),
    ),
  );
  console.log(`\nindex: ${relative(process.cwd(), page)}\ntables: ${relative(process.cwd(), tables)}`);
}

/** What `patchbay tables` has of every run, after what a machine that runs them again compares. */
async function sfcTables(name, folders) {
  const { readRunFile } = await import(join(ROOT, "dist", "run", "run-folder.js"));
  const { sha256 } = await import(join(ROOT, "dist", "base", "hash.js"));
  const { plain, toMarkdown } = await import(join(ROOT, "dist", "tables", "table.js"));
  const { tablesOfRun } = await import(join(ROOT, "dist", "tables", "run-tables.js"));
  const rows = folders.map((folder) => {
    const { counts, fingerprints, plan_hash: plan } = readRunFile(folder);
    const sums = sha256(readFileSync(join(folder, "SHA256SUMS")));
    const hashes = [fingerprints.code, plan, sums].map((hash) => `\`${hash}\``);
    return [relative(dirname(folder), folder), counts.prompts, counts.clusters, ...hashes].map(plain);
  });
  const columns = ["run", "prompts", "clusters", "code", "plan_hash", "SHA-256 of SHA256SUMS"];
  const parts = [toMarkdown([{ title: "Runs", tables: [{ title: "What was run", columns, rows, grouped: false }] }])];
  // Scores and means alone have no tables.
  const shown = folders.filter((folder) => TABLED.some((table) => existsSync(join(folder, "artifacts", table))));
  for (const folder of shown) {
    const { sections } = await tablesOfRun(folder);
    parts.push(`# ${relative(dirname(folder), folder)}\n\n${toMarkdown(sections)}`);
  }
  return `# Tables of \`npm run sfc -- ${name}\`\n\n${parts.join("\n\n")}\n`;
}

/** What a file says of itself in its first line. */
function aboutOf(experiment) {
  const [first = ""] = readFileSync(join(FILES, `${experiment}.yaml`), "utf8").split("\n");
  return first.replace(/^#\s*/, "");
}

/** A page with the figures of every report, and links to them. */
async function indexPage(title, out) {
  const { markup, Markup } = await import(join(ROOT, "dist", "report", "markup.js"));
  const { STYLE } = await import(join(ROOT, "dist", "report", "style.js"));
  const sections = Object.entries(EXPERIMENTS).map(([experiment, figures]) => {
    const shown = figures.filter((id) => existsSync(join(out, experiment, "report", `${id}.svg`)));
    const images = shown.map((id) => {
      const svg = `${experiment}/report/${id}.svg`;
      const [, alt = id] = /<title>([^<]*)<\/title>/.exec(readFileSync(join(out, svg), "utf8")) ?? [];
      return markup`<figure><a href="${svg}"><img src="${svg}" alt="${alt}" loading="lazy"></a></figure>`;
    });
    const [heading, ...rest] = aboutOf(experiment).split(". ");
    return markup`<section id="${experiment}"><h2>${heading}</h2><p>${rest.join(". ")} <a href="${experiment}/report.html">Report</a>, <a href="${experiment}/run.json">run.json</a>.</p>${images}</section>`;
  });
  const contents = Object.keys(EXPERIMENTS).map(
    (one) => markup`<li><a href="#${one}">${aboutOf(one).split(". ")[0] ?? one}</a></li>`,
  );
  return markup`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>The seed's experiments on ${title}</title><link rel="icon" href="data:,"><style>${new Markup(STYLE + FIGURES)}</style></head>
<body><nav aria-label="Contents"><p>Contents</p><ol>${contents}</ol></nav><main><header><p class="eyebrow">Patchbay</p><h1>The seed's experiments on ${title}</h1><p>From the post “What is the functional role of SAE errors?”, and two more. Bands and bars are intervals over clusters of prompts, for each point by itself; the reports say over how many, and call them 95 % from 20 on.</p></header>${sections}</main></body></html>
`.text;
}

try {
  await main();
} catch (error) {
  console.error(`sfc: ${error.message}`);
  process.exitCode = 1;
}
