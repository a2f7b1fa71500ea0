/** @file What is said of a node: beside the pointer while it is there, and in the corner while it is kept. */
import { attend, attention, onAttention } from "./attention.js";
import { escaped, keyOf, labelOf, pageOf, placeOf, spell, tokenOf } from "./nodes.js";

/** @typedef {import("./nodes.js").NodeTable} NodeTable */

/** @type {NodeTable | null} */
let nodes = null;
const tip = document.createElement("div");
const card = document.createElement("aside");

/** Puts both into the page. @param {NodeTable} table */
export function addNodeCard(table) {
  nodes = table;
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("role", "status");
  card.className = "card";
  card.hidden = true;
  card.setAttribute("aria-label", "The node that is kept");
  document.body.append(tip, card);
  onAttention((before) => {
    if (attention.hovered < 0) tip.hidden = true;
    if (attention.kept !== before.kept) fillCard(table);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") keepNode(-1);
  });
  const fromLink = () => {
    const key = decodeURIComponent(/^#node=(.+)$/.exec(location.hash)?.[1] ?? "");
    const n = key === "" ? -1 : table.kind.findIndex((_, i) => keyOf(table, i) === key);
    if (n >= 0) attend({ kept: n });
  };
  window.addEventListener("hashchange", fromLink);
  fromLink();
}

/** Keeps a node lit, or none (-1); the page's address names it. @param {number} n */
export function keepNode(n) {
  if (nodes === null || n === attention.kept) return;
  attend({ kept: n, hovered: -1 });
  history.replaceState(null, "", n < 0 ? location.pathname : `#node=${keyOf(nodes, n)}`);
}

/** Shows the hovered node beside the pointer or under an element. @param {MouseEvent | Element} where @param {string} [text] */
export function pointAt(where, text = "") {
  if (nodes === null || attention.hovered < 0) return;
  tip.innerHTML = `${text === "" ? "" : `<p class="cell">${escaped(text).replaceAll("\n", ", ")}. Largest node:</p>`}${described(nodes, attention.hovered)}`;
  tip.hidden = false;
  const box = where instanceof Element ? where.getBoundingClientRect() : null;
  const [x, y] = where instanceof Element ? [box?.left ?? 0, box?.bottom ?? 0] : [where.clientX, where.clientY];
  const { offsetWidth: width, offsetHeight: height } = tip;
  tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 8))}px`;
  tip.style.top = `${y + height + 18 < innerHeight ? y + 14 : Math.max(4, y - height - 14)}px`;
}

/** @param {NodeTable} table @param {number} n */
function described(table, n) {
  const effect = table.effect[n];
  const row = (/** @type {string} */ name, /** @type {string} */ value) => `<dt>${name}</dt><dd>${value}</dd>`;
  const withError = (/** @type {number | null} */ value, /** @type {number | null} */ sem) =>
    sem === null ? spell(value) : `${spell(value)} <small>± ${spell(sem)}</small>`;
  const scores = table.scores.map(({ label, estimates }, i) => {
    const score = table.score[i][n];
    const off =
      !estimates || score === null || effect === null ? "" : ` <small>off by ${spell(score - effect)}</small>`;
    return row(label, withError(score, table.scoreSem[i][n]) + off);
  });
  return `<p><strong>${labelOf(table, n)}</strong><br>${placeOf(table, n)}</p>
<dl>${row("true effect", withError(effect, table.effectSem[n]))}${scores.join("")}${row("prompts", String(table.prompts[n]))}</dl>
<p class="small">Means over prompts ± one standard error by clusters.</p>`;
}

/** @param {NodeTable} table */
function fillCard(table) {
  const n = attention.kept;
  card.hidden = n < 0;
  if (n < 0) return;
  const figures = figuresWith();
  const page = pageOf(table, n);
  card.innerHTML = `<button type="button" aria-label="Let go of this node">×</button>${described(table, n)}${promptsOf(table, n)}
<p class="small"><a href="#node=${keyOf(table, n)}">Link to this node</a>${page === null ? "" : ` · <a href="${escaped(page)}">Neuronpedia</a>`}</p>
<details class="small"><summary>Lit in ${figures.length} ${figures.length === 1 ? "figure" : "figures"}</summary>${figures.join("<br>")}</details>`;
  card.querySelector("button")?.addEventListener("click", () => keepNode(-1));
}

/** Prompts on which the node's effect is largest, and whose token stands at its position. @param {NodeTable} table @param {number} n */
function promptsOf(table, n) {
  const items = (table.strongest[n] ?? []).map(
    ([prompt, effect]) =>
      `<li><strong>${spell(effect)}</strong> ${escaped(table.texts[prompt] ?? `prompt ${prompt}`)}</li>`,
  );
  const list = items.length === 0 ? "" : `<p class="small">Prompts of largest effect:</p><ol>${items.join("")}</ol>`;
  const { example } = table;
  return `${list}${example !== null && example.line !== null && tokenOf(table, n) !== undefined ? `<p class="small">The word at the position is that of line ${example.line} of the dataset.</p>` : ""}`;
}

/** Links to the figures where the kept node is lit; called after they were lit. */
function figuresWith() {
  return [...document.querySelectorAll("figure")]
    .filter((figure) => figure.querySelector(".kept") !== null)
    .map((figure) => `<a href="#${figure.id}">${escaped(figure.querySelector("h3")?.textContent ?? figure.id)}</a>`);
}
