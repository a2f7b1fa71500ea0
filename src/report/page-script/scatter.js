/** @file Scatters: drawn again on other axes or for some of the nodes; the nearest node answers the pointer and the arrow keys. */
import { attend, attention, onAttention } from "./attention.js";
import { keepNode, pointAt } from "./node-card.js";

/** @typedef {import("./nodes.js").NodeTable} NodeTable */
/** @typedef {{ constant: number, low: number, high: number, ticks: [number, string][] }} Scale */
/**
 * A panel as the page describes it.
 * @typedef {object} Spec
 * @property {string} kind
 * @property {string} site
 * @property {boolean} global
 * @property {number} score
 * @property {[left: number, right: number, bottom: number, top: number]} box
 * @property {string} start
 * @property {number} radius
 * @property {[slope: number, intercept: number] | null} fit
 * @property {Record<string, Scale>} scales
 */
/** @typedef {{ xs: Float64Array, ys: Float64Array, place: (value: number) => number }} Drawing */

/** Pixels within which a node answers the pointer. */
const REACH = 14;

/** Gives a figure of scatters a choice of axes. @param {Element} figure @param {NodeTable} table */
export function askScatters(figure, table) {
  const panels = [...figure.querySelectorAll("[data-scatter]")].map((panel) => askPanel(panel, table));
  if (panels.length === 0) return;
  const choice = document.createElement("fieldset");
  choice.className = "axes";
  const start = panels[0].start;
  choice.innerHTML = `<legend>Axes</legend>${["linear", "symlog", "rank"]
    .map(
      (kind) =>
        `<label><input type="radio" name="axes-${figure.id}" value="${kind}"${kind === start ? " checked" : ""}> ${kind}</label>`,
    )
    .join("")}`;
  choice.addEventListener("change", (event) => {
    for (const { draw } of panels) draw(/** @type {HTMLInputElement} */ (event.target).value);
  });
  figure.querySelector(".panels")?.before(choice);
}

/** @param {Element} panel @param {NodeTable} table */
function askPanel(panel, table) {
  /** @type {Spec} */
  const spec = JSON.parse(panel.getAttribute("data-scatter") ?? "");
  const svg = /** @type {SVGSVGElement} */ (panel.querySelector("svg"));
  const nodes = nodesOfPanel(table, spec);
  const fixed = [...svg.children].filter((child) => !/axis label/.test(child.getAttribute("data-mark") ?? ""));
  for (const title of svg.querySelectorAll("title")) title.remove();
  const own = addGroup(svg, "own");
  const lit = addGroup(svg, "lit");
  let kind = spec.start;
  let drawing = place(table, spec, nodes, kind);
  const draw = (next = kind) => {
    kind = next;
    drawing = place(table, spec, nodes, kind);
    const asPrinted = kind === spec.start && attention.asked === null;
    for (const child of fixed) child.toggleAttribute("hidden", !asPrinted);
    own.innerHTML = asPrinted ? "" : picture(table, spec, nodes, kind, drawing);
    light();
  };
  const light = () => {
    lit.innerHTML = [attention.kept, attention.hovered]
      .map((n, i) => [nodes.indexOf(n), i])
      .filter(([at]) => at >= 0)
      .map(
        ([at, i]) =>
          `<circle class="${i === 0 ? "kept" : "hovered"}" cx="${drawing.xs[at]}" cy="${drawing.ys[at]}" r="6"/>`,
      )
      .join("");
  };
  onAttention((before) => {
    if (before.asked === attention.asked) light();
    else draw();
  });
  answerPointer(svg, nodes, () => drawing);
  answerKeys(svg, nodes, () => drawing, panel.querySelector("h4")?.textContent ?? "");
  return { draw, start: spec.start };
}

/** Nodes of a panel that enter its statistics. @param {NodeTable} table @param {Spec} spec */
function nodesOfPanel(table, spec) {
  const score = table.score[spec.score];
  return table.kind
    .map((_, n) => n)
    .filter(
      (n) =>
        table.kinds[table.kind[n]].name === spec.kind &&
        table.sites[table.site[n]] === spec.site &&
        (table.position[n] === null) === spec.global &&
        score[n] !== null &&
        (score[n] !== 0 || table.effect[n] !== 0),
    );
}

/** Where nodes stand on axes of a kind, in pixels. @param {NodeTable} table @param {Spec} spec @param {number[]} nodes @param {string} kind @returns {Drawing} */
function place(table, spec, nodes, kind) {
  const [left, right, bottom, top] = spec.box;
  const across = nodes.map((n) => table.score[spec.score][n] ?? 0);
  const up = nodes.map((n) => table.effect[n] ?? 0);
  const isRank = kind === "rank";
  const { constant, low, high } = isRank ? rankScale(nodes.length) : spec.scales[kind];
  const bend = (/** @type {number} */ value) =>
    kind === "symlog" ? Math.sign(value) * Math.log1p(Math.abs(value) / constant) : value;
  const share = (/** @type {number} */ value) => (bend(value) - bend(low)) / (bend(high) - bend(low));
  const [x, y] = isRank ? [ranks(across), ranks(up)] : [across, up];
  return {
    xs: Float64Array.from(x, (value) => left + share(value) * (right - left)),
    ys: Float64Array.from(y, (value) => bottom + share(value) * (top - bottom)),
    place: share,
  };
}

/** @param {number} count @returns {Scale} */
function rankScale(count) {
  const margin = Math.max(0.5, 0.05 * count);
  const middle = Math.round((count + 1) / 2);
  const ticks = [...new Set([1, middle, count])];
  return { constant: 1, low: 1 - margin, high: count + margin, ticks: ticks.map((tick) => [tick, String(tick)]) };
}

/** Ranks from 1, ties in the middle of theirs. @param {number[]} values */
function ranks(values) {
  const order = values.map((_, i) => i).sort((a, b) => values[a] - values[b]);
  /** @type {number[]} */
  const result = Array(values.length);
  for (let i = 0; i < order.length;) {
    let end = i;
    while (end < order.length && values[order[end]] === values[order[i]]) end++;
    for (let j = i; j < end; j++) result[order[j]] = (i + 1 + end) / 2;
    i = end;
  }
  return result;
}

/** Axes, lines and points as SVG text. @param {NodeTable} table @param {Spec} spec @param {number[]} nodes @param {string} kind @param {Drawing} drawing */
function picture(table, spec, nodes, kind, drawing) {
  const [left, right, bottom, top] = spec.box;
  const { low, high, ticks } = kind === "rank" ? rankScale(nodes.length) : spec.scales[kind];
  const across = (/** @type {number} */ value) => left + drawing.place(value) * (right - left);
  const up = (/** @type {number} */ value) => bottom + drawing.place(value) * (top - bottom);
  const axes = ticks.map(
    ([tick, label]) =>
      `<path d="M${across(tick)} ${bottom}v3M${left} ${up(tick)}h-3" stroke="currentColor"/>` +
      `<text x="${across(tick)}" y="${bottom + 14}" text-anchor="middle">${label}</text>` +
      `<text x="${left - 7}" y="${up(tick) + 3}" text-anchor="end">${label}</text>`,
  );
  const zero = `<path d="M${across(0)} ${bottom}V${top}M${left} ${up(0)}H${right}" stroke="currentColor" stroke-opacity=".25"/>`;
  const diagonal = `<path d="M${left} ${bottom}L${right} ${top}" stroke="currentColor" stroke-opacity=".6" stroke-dasharray="3 4"/>`;
  const note = kind === "rank" ? `<text x="${left}" y="${bottom + 28}">ranks, smallest first</text>` : "";
  const fit = kind === "rank" || spec.fit === null ? "" : fitPath(spec.fit, low, high, across, up, spec.box);
  return `${axes.join("")}${kind === "rank" ? "" : zero}${diagonal}${note}${fit}${points(table, spec, nodes, drawing)}`;
}

/**
 * The fit where it lies within the frame. @param {[number, number]} fit @param {number} low @param {number} high
 * @param {(value: number) => number} across @param {(value: number) => number} up @param {Spec["box"]} box
 */
function fitPath([slope, intercept], low, high, across, up, [left, right, bottom, top]) {
  const ends = [low, high].map(across);
  const steps = 160;
  let path = "";
  let isInside = false;
  for (let i = 0; i <= steps; i++) {
    // Even steps of pixels: the axis is turned back by halving.
    const x = ends[0] + ((ends[1] - ends[0]) * i) / steps;
    const y = up(intercept + slope * valueAt(x, low, high, across));
    const within = y <= bottom && y >= top && x >= left && x <= right;
    if (within) path += `${isInside ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    isInside = within;
  }
  return `<path d="${path}" fill="none" stroke="currentColor" stroke-width="1.6" stroke-opacity=".85"/>`;
}

/** @param {number} pixel @param {number} low @param {number} high @param {(value: number) => number} across */
function valueAt(pixel, low, high, across) {
  let [from, to] = [low, high];
  for (let i = 0; i < 40; i++) {
    const middle = (from + to) / 2;
    if (across(middle) < pixel) from = middle;
    else to = middle;
  }
  return (from + to) / 2;
}

/** Points by layer; those that were not asked for are pale and below. @param {NodeTable} table @param {Spec} spec @param {number[]} nodes @param {Drawing} drawing */
function points(table, spec, nodes, { xs, ys }) {
  const { asked } = attention;
  /** @type {Map<string, string>} */
  const paths = new Map();
  nodes.forEach((n, i) => {
    const key = `${asked === null || asked.has(n) ? 1 : 0} ${table.layer[n]}`;
    paths.set(key, `${paths.get(key) ?? ""}M${xs[i].toFixed(1)} ${ys[i].toFixed(1)}h0`);
  });
  return [...paths]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([key, path]) => {
      const [bright, layer] = key.split(" ");
      const color = table.layerColors[Number(layer)] ?? "currentColor";
      return `<path class="${bright === "1" ? "asked" : "pale"}" d="${path}" stroke="${color}" stroke-width="${2 * spec.radius}" stroke-linecap="round" stroke-opacity="${bright === "1" ? 0.85 : 0.1}"/>`;
    })
    .join("");
}

/** @param {SVGSVGElement} svg @param {number[]} nodes @param {() => Drawing} drawingOf */
function answerPointer(svg, nodes, drawingOf) {
  const nearest = (/** @type {MouseEvent} */ event) => {
    const frame = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / frame.width;
    const [x, y] = [(event.clientX - frame.left) * scale, (event.clientY - frame.top) * scale];
    const { xs, ys } = drawingOf();
    let [found, least] = [-1, REACH ** 2];
    nodes.forEach((n, i) => {
      const distance = (xs[i] - x) ** 2 + (ys[i] - y) ** 2;
      if (distance < least && (attention.asked === null || attention.asked.has(n))) [found, least] = [n, distance];
    });
    return found;
  };
  svg.addEventListener("pointermove", (event) => {
    const n = nearest(event);
    if (n !== attention.hovered) attend({ hovered: n });
    pointAt(event);
  });
  svg.addEventListener("pointerleave", () => attend({ hovered: -1 }));
  svg.addEventListener("click", (event) => {
    const n = nearest(event);
    if (n >= 0) keepNode(n);
  });
}

/** Arrow keys walk from the left to the right. @param {SVGSVGElement} svg @param {number[]} nodes @param {() => Drawing} drawingOf @param {string} title */
function answerKeys(svg, nodes, drawingOf, title) {
  svg.tabIndex = 0;
  svg.setAttribute("role", "application");
  svg.setAttribute("aria-label", `${title}. Arrow keys go from node to node, Enter keeps one.`);
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (event.key === "Enter" && attention.hovered >= 0) keepNode(attention.hovered);
    if (event.key === "Escape") attend({ hovered: -1 });
    if (step === undefined) return;
    event.preventDefault();
    const { xs } = drawingOf();
    const order = nodes
      .map((_, i) => i)
      .filter((i) => attention.asked === null || attention.asked.has(nodes[i]))
      .sort((a, b) => xs[a] - xs[b]);
    const at = order.findIndex((i) => nodes[i] === attention.hovered);
    const next = order[at < 0 ? (step > 0 ? 0 : order.length - 1) : Math.min(order.length - 1, Math.max(0, at + step))];
    if (next === undefined) return;
    attend({ hovered: nodes[next] });
    pointAt(svg);
  });
  svg.addEventListener("blur", () => attend({ hovered: -1 }));
}

/** @param {SVGSVGElement} svg @param {string} name */
function addGroup(svg, name) {
  const group = document.createElementNS("http://www.w3.org/2000/svg", "g");
  group.setAttribute("class", name);
  svg.append(group);
  return group;
}
