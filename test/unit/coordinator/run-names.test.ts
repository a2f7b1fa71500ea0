/** @file How clients name a run. */
import { expect, test } from "vitest";
import { findRun, runNameOf } from "../../../src/coordinator/run-names.js";

const FOLDERS = new Map([
  ["demo-12345678-aaaaaa", "/runs/demo-12345678"],
  ["demo-12ffffff-bbbbbb", "/runs/demo-12ffffff"],
  ["demo-12ffffff-cccccc", "/runs/demo-12ffffff"],
  ["other-00000000-dddddd", "/runs/other"],
]);

test.each([
  ["the folder's name", "demo-12345678", "demo-12345678-aaaaaa"],
  ["the beginning of it that no other has", "demo-123", "demo-12345678-aaaaaa"],
  ["one letter", "o", "other-00000000-dddddd"],
  ["the coordinator's own id", "demo-12345678-aaaaaa", "demo-12345678-aaaaaa"],
  ["the name of a folder that was made again, which is the last run in it", "demo-12ff", "demo-12ffffff-cccccc"],
])("a run is found by %s", (_what, given, id) => {
  expect(findRun(given, FOLDERS)).toBe(id);
});

test("a name is no beginning of another one's", () => {
  const folders = new Map([["a", "/runs/demo"], ["b", "/runs/demo-2"]]); // prettier-ignore
  expect(findRun("demo", folders)).toBe("a");
});

test("what several runs begin with is refused with their names, and so is what none does", () => {
  expect(() => findRun("demo-12", FOLDERS)).toThrow(
    "several runs of the coordinator begin with demo-12: demo-12345678, demo-12ffffff; write more of the name",
  );
  expect(() => findRun("x", FOLDERS)).toThrow(
    "the coordinator has no run x; it has demo-12345678, demo-12ffffff, other",
  );
  expect(() => findRun("x", new Map())).toThrow("it has none");
});

test("a name has at most the length that messages hold", () => {
  expect(runNameOf(`/runs/${"x".repeat(250)}`)).toBe("x".repeat(200));
});
