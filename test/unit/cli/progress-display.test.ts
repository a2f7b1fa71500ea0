/** @file Progress on a terminal and elsewhere. */
import { expect, test } from "vitest";
import { openProgress } from "../../../src/cli/progress-display.js";

const CLEAR = "\r\x1b[K";

function screen(change: { readonly isTTY?: boolean; readonly columns?: number } = {}) {
  const written: string[] = [];
  return { written, write: (text: string) => written.push(text), ...change };
}

test("on a terminal the line is written over, stands below what is said, and goes at the end", () => {
  const terminal = screen({ isTTY: true, columns: 40 });
  const display = openProgress(terminal);
  display.show("1/3");
  display.show("2/3");
  display.say("worker-0 died");
  display.end();
  expect(terminal.written).toEqual([`${CLEAR}1/3`, `${CLEAR}2/3`, CLEAR, "worker-0 died\n", `${CLEAR}2/3`, CLEAR]);
});

test("on a terminal it never wraps, because two lines cannot be written over", () => {
  const terminal = screen({ isTTY: true, columns: 10 });
  openProgress(terminal).show("0123456789");
  expect(terminal.written).toEqual([`${CLEAR}012345678`]);
  const silent = screen({ isTTY: true, columns: 0 });
  openProgress(silent).show("x".repeat(200));
  expect(silent.written).toEqual([`${CLEAR}${"x".repeat(79)}`]);
});

test("elsewhere there is a line at once and then one a minute, whatever is said in between", () => {
  let now = 0;
  const file = screen();
  const display = openProgress(file, () => now);
  for (now = 0; now <= 150_000; now += 10_000) display.show(String(now));
  display.say("done");
  display.end();
  expect(file.written).toEqual(["0\n", "60000\n", "120000\n", "done\n"]);
});
