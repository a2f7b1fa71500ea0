/** @file The page around the sections: heading, banner, contents, style. One file, nothing fetched. */
import { legendSvg, type Figure } from "./figure.js";
import { Markup, markup, type Content } from "./markup.js";
import { nodeTable, type NodeIndex } from "./node-index.js";
import { pageScript } from "./page-script.js";
import { STYLE } from "./style.js";

/** A part of the report with an entry in its contents. */
export interface Section {
  readonly id: string;
  readonly title: string;
  readonly body: Content;
}

/** What the page opens with. */
export interface Opening {
  readonly name: string;
  readonly status: string;
  readonly question: string;
  readonly answers: readonly Content[];
  /** The result as a small table. */
  readonly glance: Content;
  /** Key figures: a number and what it counts. */
  readonly facts: readonly (readonly [value: string, label: string])[];
  /** What is missing, where something is. */
  readonly banner: Content;
}

/** A figure inside the page, with links to its files. */
export function figureBlock(figure: Figure): Markup {
  const panels = figure.panels.map(
    ({ title, notes, svg, width: across, height, asked = {} }) =>
      markup`<div class="panel"${Object.entries(asked).map(([name, value]) => markup` data-${name}="${JSON.stringify(value)}"`)}><h4>${title}</h4>${notes.map((note) => markup`<p>${note}</p>`)}${new Markup(svg.replace("<svg ", `<svg style="aspect-ratio:${String(across)}/${String(height)}" `))}</div>`,
  );
  const width = Math.max(...figure.panels.map((panel) => panel.width));
  return markup`<figure id="${figure.id}">
<h3>${figure.title}</h3>
${figure.legend !== null && legendSvg(figure.legend, figure.id)}
<div class="panels" style="--columns:${figure.columns};--width:${width}px">${panels}</div>
<figcaption>${figure.caption} <span class="files"><a href="report/${figure.id}.svg">SVG</a> <a href="report/${figure.id}.csv">CSV</a></span></figcaption>
</figure>`;
}

/** Pages of more nodes draw a figure when it is scrolled to: all of them at once take seconds. A picture of the whole page lacks the others. */
const MANY_NODES = 3000;

/** The whole page. @param nodes - what it can be asked about; null: nothing. */
export function page(opening: Opening, sections: readonly Section[], nodes: NodeIndex | null): string {
  const script = pageScript();
  const { name, status, question, answers, glance, facts, banner } = opening;
  const body = markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src ${script.source}">
<title>${name} – Patchbay report</title>
<link rel="icon" href="data:,">
<style>${new Markup(STYLE)}</style>
</head>
<body${(nodes?.nodes.length ?? 0) > MANY_NODES && markup` class="many"`}>
<nav aria-label="Contents"><p>Contents</p><ol>${sections.map(({ id, title }) => markup`<li><a href="#${id}">${title}</a></li>`)}</ol></nav>
<main>
<header>
<p class="eyebrow">Patchbay report · ${status}</p>
<h1>${name}</h1>
${banner}
<p class="question">${question}</p>
<div class="answers">${answers.map((answer) => markup`<p>${answer}</p>`)}</div>
<dl class="numbers">${facts.map(([value, label]) => markup`<div><dt>${label}</dt><dd>${value}</dd></div>`)}</dl>
${glance}
</header>
${sections.map(({ id, title, body: content }) => markup`<section id="${id}"><h2><a href="#${id}">${title}</a></h2>\n${content}</section>\n`)}
</main>
${nodes !== null && nodeTable(nodes)}
${script.element}
</body>
</html>
`;
  return body.text;
}
