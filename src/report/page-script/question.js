/** @file The form that asks for nodes, and the list of those that it finds. */
import { attend, attention, onAttention } from "./attention.js";
import { keepNode } from "./node-card.js";
import { keyOf, labelOf, nodesAsked, spell } from "./nodes.js";
import { compare, makeSortable } from "./tables.js";

/** @typedef {import("./nodes.js").NodeTable} NodeTable */
/** @typedef {import("./nodes.js").Question} Question */

/** Nodes that are listed. */
const LISTED = 20;

/** Brings the form to life. @param {HTMLFormElement} form @param {NodeTable} table */
export function askQuestions(form, table) {
  const list = /** @type {HTMLTableElement} */ (form.querySelector("table"));
  const count = /** @type {HTMLOutputElement} */ (form.querySelector("output"));
  /** @type {number[]} */
  let found = [];
  const show = () => listNodes(list, table, found.slice(0, LISTED));
  const ask = () => {
    const question = /** @type {Question} */ (Object.fromEntries(new FormData(form)));
    const isEmpty = Object.values(question).every((text) => text === "");
    found = nodesAsked(table, question);
    count.textContent = `${found.length} of ${table.kind.length} nodes${found.length > LISTED ? `; the first ${LISTED} are listed` : ""}`;
    for (const head of list.querySelectorAll("[aria-sort]")) head.removeAttribute("aria-sort");
    show();
    attend({ asked: isEmpty ? null : new Set(found), hovered: -1 });
  };
  makeSortable(list, (column, isDown) => {
    found.sort((a, b) => compare(cellsOf(table, a)[column], cellsOf(table, b)[column], isDown));
    show();
  });
  form.addEventListener("input", ask);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(ask));
  onAttention(() => markRows(table));
  form.hidden = false;
  ask();
}

/** What a row shows, in the order of the list's columns. @param {NodeTable} table @param {number} n @returns {(string | number | null)[]} */
function cellsOf(table, n) {
  const { site, layer, position, effect, score } = table;
  return [
    labelOf(table, n),
    table.sites[site[n]],
    layer[n],
    position[n],
    effect[n],
    ...score.map((column) => column[n]),
  ];
}

/** @param {HTMLTableElement} list @param {NodeTable} table @param {number[]} nodes */
function listNodes(list, table, nodes) {
  const rows = nodes.map((n) => {
    const [name, site, layer, position, ...numbers] = cellsOf(table, n);
    const cells = [layer, position ?? "all", ...numbers.map((one) => spell(/** @type {number} */ (one)))];
    return `<tr><td class="text"><span data-node="${keyOf(table, n)}">${name}</span></td><td class="text">${site}</td>${cells.map((cell) => `<td class="number">${cell}</td>`).join("")}</tr>`;
  });
  list.tBodies[0].innerHTML = rows.join("");
  linkNodes(list, table);
  markRows(table);
}

/** Names of nodes in tables become buttons that keep them. @param {Element} part @param {NodeTable} table */
export function linkNodes(part, table) {
  const places = new Map(table.kind.map((_, n) => [keyOf(table, n), n]));
  for (const name of part.querySelectorAll("span[data-node]")) {
    const n = places.get(name.getAttribute("data-node") ?? "");
    if (n === undefined) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "node";
    button.dataset["node"] = keyOf(table, n);
    button.append(...name.childNodes);
    button.addEventListener("click", () => keepNode(attention.kept === n ? -1 : n));
    name.replaceWith(button);
  }
}

/** @param {NodeTable} table */
function markRows(table) {
  const key = attention.kept < 0 ? null : keyOf(table, attention.kept);
  for (const button of document.querySelectorAll("button.node")) {
    const isKept = /** @type {HTMLElement} */ (button).dataset["node"] === key;
    button.setAttribute("aria-pressed", String(isKept));
    button.closest("tr")?.classList.toggle("lit-row", isKept);
  }
}
