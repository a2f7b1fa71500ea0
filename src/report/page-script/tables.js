/** @file Tables that are sorted by a click on a column's head, or a key on it. */

/** Makes the heads of a table buttons. @param {HTMLTableElement} table @param {(column: number, isDown: boolean) => void} [sort] */
export function makeSortable(table, sort = (column, isDown) => sortRows(table, column, isDown)) {
  const heads = [...(table.tHead?.rows[0]?.cells ?? [])];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const startsDown = head.classList.contains("number");
      const isDown = before === null ? startsDown : before === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", isDown ? "descending" : "ascending");
      sort(column, isDown);
    });
  });
}

/** @param {HTMLTableElement} table @param {number} column @param {boolean} isDown */
function sortRows(table, column, isDown) {
  const body = table.tBodies[0];
  const sorted = groupsOf([...body.rows])
    .map((rows) => ({ rows, key: keyOf(rows[0].cells[column]) }))
    .sort((a, b) => compare(a.key, b.key, isDown));
  body.append(...sorted.flatMap(({ rows }) => rows));
}

/** Rows whose first cell is empty belong to the row above them. @param {HTMLTableRowElement[]} rows */
function groupsOf(rows) {
  /** @type {HTMLTableRowElement[][]} */
  const groups = [];
  for (const row of rows) {
    const continues = row.cells[0]?.textContent?.trim() === "";
    if (continues && groups.length > 0) groups[groups.length - 1].push(row);
    else groups.push([row]);
  }
  return groups;
}

/** The number that a cell begins with, else its text; null where it says nothing. @param {Element | undefined} cell */
function keyOf(cell) {
  const text = (cell?.firstChild?.textContent ?? "").trim();
  const plain = text.replaceAll("−", "-").replaceAll("\u202f", "");
  const [number] = /^-?(\d+\.?\d*|\.\d+)(e-?\d+)?/.exec(plain) ?? [];
  if (text === "" || text === "–") return null;
  return number === undefined ? text : Number(number);
}

/** What says nothing stands last both ways. @param {string | number | null} a @param {string | number | null} b @param {boolean} isDown */
export function compare(a, b, isDown) {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
  return isDown ? -order : order;
}
