/** @file Maps and other panels whose marks stand for places: a layer and a position, with one node or several. */
import { attend, attention, onAttention } from "./attention.js";
import { keepNode, pointAt } from "./node-card.js";

/** @typedef {import("./nodes.js").NodeTable} NodeTable */

/** @param {Element} panel @param {NodeTable} table */
export function askPlaces(panel, table) {
  const { kind, site } = JSON.parse(panel.getAttribute("data-map") ?? "");
  const svg = /** @type {SVGSVGElement} */ (panel.querySelector("svg"));
  /** Marks of a position stand for all layers. @param {number} n */
  const keysOf = (n) => [`${table.layer[n]} ${table.position[n]}`, `* ${table.position[n]}`];
  /** The largest measured node of each place. @type {Map<string, number>} */
  const largest = new Map();
  table.kind.forEach((_, n) => {
    if (table.kinds[table.kind[n]].name !== kind || table.sites[table.site[n]] !== site) return;
    for (const key of keysOf(n)) {
      const other = largest.get(key);
      if (other === undefined || Math.abs(table.effect[n] ?? 0) > Math.abs(table.effect[other] ?? 0))
        largest.set(key, n);
    }
  });
  /** @type {Map<string, Element[]>} */
  const marks = new Map();
  for (const title of svg.querySelectorAll("title")) {
    const [, layer = "*", position] = /(?:layer (\d+), )?position (-?\d+)/.exec(title.textContent ?? "") ?? [];
    const mark = title.parentElement;
    if (position === undefined || mark === null) continue;
    const key = `${layer} ${position}`;
    marks.set(key, [...(marks.get(key) ?? []), mark]);
    answer(mark, title.textContent ?? "", largest.get(key));
    if (largest.has(key)) title.remove();
  }
  onAttention((before) => {
    for (const [name, n] of /** @type {const} */ ([
      ["hovered", before.hovered],
      ["kept", before.kept],
    ]))
      for (const mark of marksOf(n)) mark.classList.remove(name);
    for (const name of /** @type {const} */ (["hovered", "kept"]))
      for (const mark of marksOf(attention[name])) mark.classList.add(name);
  });
  const marksOf = (/** @type {number} */ n) =>
    n < 0 || table.kinds[table.kind[n]].name !== kind || table.sites[table.site[n]] !== site
      ? []
      : keysOf(n).flatMap((key) => marks.get(key) ?? []);
}

/** @param {Element} mark @param {string} text @param {number | undefined} n - the place's largest node. */
function answer(mark, text, n) {
  if (n === undefined) return;
  mark.classList.add("place");
  mark.addEventListener("pointerenter", (event) => {
    attend({ hovered: n });
    pointAt(/** @type {PointerEvent} */ (event), text);
  });
  mark.addEventListener("pointerleave", () => attend({ hovered: -1 }));
  mark.addEventListener("click", () => keepNode(n));
}
