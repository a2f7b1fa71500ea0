/** @file The nodes that a page can be asked about: the table that its script reads, and the form that asks. */
import { neuronpediaUrl } from "../hub/published-sae.js";
import { INDEX_FIELDS, KINDS, LISTED_KINDS } from "../nodes/kinds.js";
import { comparePositions, GLOBAL_POSITION, indexOf, type Node, type NodePosition } from "../nodes/node.js";
import { SITES } from "../nodes/site.js";
import type { Plan } from "../plan/plan.js";
import { positionTick, type ExamplePrompt } from "./example-prompt.js";
import { capitalised, positionLabel, sitesOf } from "./labels.js";
import { Markup, markup } from "./markup.js";
import { layerColor } from "./palette.js";
import type { Section } from "./page.js";

/** A measured node with its scores by name. */
export type IndexedNode = Node & {
  readonly n: number;
  readonly effect: number;
  readonly effectSem: number;
  readonly scores: ReadonlyMap<string, { readonly mean: number; readonly sem: number }>;
};

/** A prompt with its effect of patching a node. */
export interface NodePrompt {
  readonly prompt: number;
  readonly effect: number;
}

/** The nodes of a page. */
export interface NodeIndex {
  readonly nodes: readonly IndexedNode[];
  readonly scores: readonly {
    readonly name: string;
    readonly label: string;
    /** Whether it estimates the measured effect, and not another one. */
    readonly estimates: boolean;
  }[];
  readonly layers: number;
  /** SAEs of the run; features of published ones are linked to their pages. */
  readonly saes: Plan["saes"];
  /** Whose tokens stand at positions. */
  readonly example: ExamplePrompt | null;
  /** Prompts of largest |effect| of the first nodes, in their order. */
  readonly prompts: readonly (readonly NodePrompt[])[];
  /** A prompt as it is shown. */
  readonly textOf: (prompt: number) => string | null;
  /** Which nodes these are, where they are not all. */
  readonly note: string | null;
}

/** Digits of numbers in the table: enough for a tenth of a pixel. */
const DIGITS = 4;
/** Digits of standard errors. */
const SEM_DIGITS = 3;

/** Letters of a prompt that are shown. */
const LETTERS = 200;

/** What names a node in links and in tables of the page. The script spells the same. */
export function nodeKeyOf(node: Node): string {
  return [node.site, node.layer, positionKey(node.position), node.kind, indexWithin(node)].join(".");
}

/** A node's name in a table, which the script makes a button. */
export function askedName(node: Node, name: string): Markup {
  return markup`<span data-node="${nodeKeyOf(node)}">${name}</span>`;
}

function positionKey(position: NodePosition): string {
  return position === GLOBAL_POSITION ? "all" : String(position);
}

function indexWithin(node: Node): number {
  return INDEX_FIELDS.map((field) => indexOf(node, field)).find((index) => index !== undefined) ?? -1;
}

/** The table as a JSON element of the page, column by column. */
export function nodeTable({ nodes, scores, layers, saes, example, prompts, textOf }: NodeIndex): Markup {
  const column = (valueOf: (node: IndexedNode) => number | undefined, digits = DIGITS): (number | null)[] =>
    nodes.map((node) => {
      const value = valueOf(node) ?? Number.NaN;
      return Number.isFinite(value) ? Number(value.toPrecision(digits)) : null;
    });
  const told = [...new Set(prompts.flat().map(({ prompt }) => prompt))];
  const table = {
    kinds: LISTED_KINDS.map((name) => ({ name, label: KINDS[name].label, plural: KINDS[name].plural })),
    sites: SITES,
    scores,
    layerColors: Array.from({ length: layers }, (_, layer) => layerColor(layer, layers)),
    pages: Object.fromEntries(
      saes.flatMap(({ site, layer, published }) => {
        const url = neuronpediaUrl(published);
        return url === null ? [] : [[`${site}.${String(layer)}`, url]];
      }),
    ),
    kind: nodes.map(({ kind }) => LISTED_KINDS.indexOf(kind)),
    site: nodes.map(({ site }) => SITES.indexOf(site)),
    layer: nodes.map(({ layer }) => layer),
    position: nodes.map(({ position }) => (position === GLOBAL_POSITION ? null : position)),
    index: nodes.map(indexWithin),
    prompts: nodes.map(({ n }) => n),
    effect: column(({ effect }) => effect),
    effectSem: column(({ effectSem }) => effectSem, SEM_DIGITS),
    score: scores.map(({ name }) => column((node) => node.scores.get(name)?.mean)),
    example: example === null ? null : { line: example.line, tokens: example.tokens },
    strongest: prompts.map((own) => own.map(({ prompt, effect }) => [prompt, Number(effect.toPrecision(DIGITS))])),
    texts: Object.fromEntries(told.map((prompt) => [prompt, textOf(prompt)?.slice(0, LETTERS) ?? null])),
    scoreSem: scores.map(({ name }) => column((node) => node.scores.get(name)?.sem, SEM_DIGITS)),
  };
  const json = JSON.stringify(table).replaceAll("<", "\\u003c");
  return new Markup(`<script type="application/json" id="node-table">${json}</script>`);
}

/** The section with the form. Without a script it says what is missing, and where else it is found. */
export function askSection(index: NodeIndex): Section {
  const { nodes, note } = index;
  const kinds = LISTED_KINDS.filter((kind) => nodes.some((node) => node.kind === kind));
  const positions = [...new Set(nodes.map(({ position }) => position))].sort(comparePositions);
  const select = (name: string, label: string, options: readonly (readonly [string, string])[]): Markup =>
    markup`<label>${label} <select name="${name}"><option value="">any</option>${options.map(([value, text]) => markup`<option value="${value}">${text}</option>`)}</select></label>`;
  const number = (name: string, label: string, step: string): Markup =>
    markup`<label>${label} <input type="number" name="${name}" min="0" step="${step}"></label>`;
  return {
    id: "ask",
    title: "Ask the nodes",
    body: markup`<noscript><p class="note">Search and filters need JavaScript; nothing else here does. All measured nodes are in <a href="report/strongest-nodes.csv">strongest-nodes.csv</a>.</p></noscript>
${note !== null && markup`<p class="note">${note}</p>`}
<form class="question-form" hidden>
<p class="note">What is found stays bright in the figures, all else turns pale. Point at a node to read it; click it, or press Enter, to keep it lit in every figure.</p>
<div class="fields"><label class="wide">Words or an index <input type="search" name="words" placeholder="feature 153" autocomplete="off"></label>
${select(
  "kind",
  "Kind",
  kinds.map((kind) => [kind, capitalised(KINDS[kind].plural)]),
)}${select(
      "site",
      "Site",
      sitesOf(nodes).map((site) => [site, site]),
    )}${number("from", "Layer from", "1")}${number("to", "to", "1")}${select(
      "position",
      "Position",
      positions.map((position) => [
        positionKey(position),
        position === GLOBAL_POSITION ? positionLabel(position) : positionTick(index.example)(position),
      ]),
    )}${number("size", "|effect| at least", "any")}<button type="reset">Clear</button></div>
<p><output aria-live="polite"></output></p>
${foundTable(index)}
</form>`,
  };
}

function foundTable({ scores }: NodeIndex): Markup {
  const heads = ["layer", "position", "effect", ...scores.map(({ label }) => label)];
  return markup`<div class="scroll" tabindex="0" role="region" aria-label="Nodes that were found"><table><caption>Nodes that were found</caption>
<thead><tr><th scope="col" class="text">node</th><th scope="col" class="text">site</th>${heads.map((head) => markup`<th scope="col" class="number">${head}</th>`)}</tr></thead><tbody></tbody></table></div>`;
}
