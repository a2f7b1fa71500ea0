/** @file Starts the page's script. Nothing on the page needs it: figures and tables are whole without it. */
import { addNodeCard } from "./node-card.js";
import { readNodes } from "./nodes.js";
import { askPlaces } from "./places.js";
import { askQuestions, linkNodes } from "./question.js";
import { askScatters } from "./scatter.js";
import { makeSortable } from "./tables.js";

for (const table of document.querySelectorAll("main table:not(form table)"))
  makeSortable(/** @type {HTMLTableElement} */ (table));
const nodes = readNodes();
if (nodes !== null) {
  for (const figure of document.querySelectorAll("figure")) askScatters(figure, nodes);
  for (const panel of document.querySelectorAll("[data-map]")) askPlaces(panel, nodes);
  linkNodes(document.body, nodes);
  const form = document.querySelector("form.question-form");
  if (form !== null) askQuestions(/** @type {HTMLFormElement} */ (form), nodes);
  addNodeCard(nodes);
}
