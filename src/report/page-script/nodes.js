/** @file The nodes of the page: their table, their names, and which of them a question asks for. */

/**
 * Columns of all shown nodes; node `n` is the n-th entry of each. Position -1: all at once; index -1: none.
 * @typedef {object} NodeTable
 * @property {{ name: string, label: string, plural: string }[]} kinds
 * @property {string[]} sites
 * @property {{ name: string, label: string, estimates: boolean }[]} scores
 * @property {string[]} layerColors
 * @property {Record<string, string>} pages of published SAEs, by site and layer
 * @property {number[]} kind
 * @property {number[]} site
 * @property {number[]} layer
 * @property {(number | null)[]} position - below 0 from the end of each prompt; null for all at once
 * @property {number[]} index
 * @property {number[]} prompts
 * @property {(number | null)[]} effect
 * @property {(number | null)[]} effectSem
 * @property {(number | null)[][]} score
 * @property {(number | null)[][]} scoreSem
 * @property {{ line: number | null, tokens: string[] } | null} example
 * @property {[prompt: number, effect: number][][]} strongest - of the first nodes
 * @property {Record<string, string | null>} texts - prompts by number
 */

/**
 * What a reader asks for; an empty text asks for nothing.
 * @typedef {{ words: string, kind: string, site: string, from: string, to: string, position: string, size: string }} Question
 */

/** @returns {NodeTable | null} null where the page has no nodes. */
export function readNodes() {
  const text = document.getElementById("node-table")?.textContent;
  if (text == null) return null;
  /** @type {NodeTable} */
  const table = JSON.parse(text);
  // Labels hold names that a sweep's author chose, and are put into markup.
  return { ...table, scores: table.scores.map((score) => ({ ...score, label: escaped(score.label) })) };
}

/** Text that is safe in markup. @param {string} text */
export function escaped(text) {
  return text.replace(/[&<>"]/g, (one) => `&#${one.charCodeAt(0)};`);
}

/** A node within its place: `feature 153`. @param {NodeTable} table @param {number} n */
export function labelOf(table, n) {
  const { label } = table.kinds[table.kind[n]];
  return table.index[n] < 0 ? label : `${label} ${table.index[n]}`;
}

/** The example's token at a node's position. @param {NodeTable} table @param {number} n */
export function tokenOf(table, n) {
  const position = table.position[n];
  return position === null ? undefined : table.example?.tokens.at(position);
}

/** Where a node is. @param {NodeTable} table @param {number} n */
export function placeOf(table, n) {
  const token = tokenOf(table, n)?.trim();
  const said = token === undefined || token === "" ? "" : ` “${escaped(token)}”`;
  const at = table.position[n] === null ? "all positions at once" : `position ${table.position[n]}${said}`;
  return `${table.sites[table.site[n]]}, layer ${table.layer[n]}, ${at}`;
}

/** Where others describe a feature of a published SAE; null for any other node. @param {NodeTable} table @param {number} n */
export function pageOf(table, n) {
  const page = table.pages[`${table.sites[table.site[n]]}.${table.layer[n]}`];
  return page === undefined || table.kinds[table.kind[n]].name !== "feature" ? null : `${page}/${table.index[n]}`;
}

/** What names a node in links and in the page's tables. @param {NodeTable} table @param {number} n */
export function keyOf(table, n) {
  const { site, layer, position, kind, index } = table;
  return [table.sites[site[n]], layer[n], position[n] ?? "all", table.kinds[kind[n]].name, index[n]].join(".");
}

/** Three significant digits. @param {number | null | undefined} value */
export function spell(value) {
  if (value == null) return "–";
  const size = Math.abs(value);
  const text =
    size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(2) : String(Number(value.toPrecision(3)));
  return text.replaceAll("-", "−");
}

/**
 * Nodes that a question asks for, the largest effects first.
 * @param {NodeTable} table @param {Question} question @returns {number[]}
 */
export function nodesAsked(table, question) {
  const words = question.words
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((word) => word !== "");
  const within = (/** @type {number} */ value, /** @type {string} */ low, /** @type {string} */ high) =>
    (low === "" || value >= Number(low)) && (high === "" || value <= Number(high));
  return table.kind
    .map((_, n) => n)
    .filter(
      (n) =>
        (question.kind === "" || table.kinds[table.kind[n]].name === question.kind) &&
        (question.site === "" || table.sites[table.site[n]] === question.site) &&
        within(table.layer[n], question.from, question.to) &&
        (question.position === "" || String(table.position[n] ?? "all") === question.position) &&
        within(Math.abs(table.effect[n] ?? 0), question.size, "") &&
        words.every((word) => hasWord(table, n, word)),
    )
    .sort((a, b) => Math.abs(table.effect[b] ?? 0) - Math.abs(table.effect[a] ?? 0));
}

/** A number is a node's index, a word a part of its name. @param {NodeTable} table @param {number} n @param {string} word */
function hasWord(table, n, word) {
  if (/^\d+$/.test(word)) return table.index[n] === Number(word);
  const { plural } = table.kinds[table.kind[n]];
  return `${plural} ${labelOf(table, n)} ${table.sites[table.site[n]]}`.toLowerCase().includes(word);
}
