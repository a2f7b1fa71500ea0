/** @file What people see of an error. */
import { expect, onTestFinished, test, vi } from "vitest";
import { allOf, badInput } from "../../../src/base/errors.js";
import { printError } from "../../../src/base/print-error.js";

const HOSTILE = badInput("expected one\nline", { file: "a\u001b[2Jb", field: "w\u009b" });

function printed(json: boolean, error = HOSTILE): string {
  const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  onTestFinished(() => {
    write.mockRestore();
  });
  write.mockClear();
  printError(error, json);
  return write.mock.calls.map(([text]) => String(text)).join("");
}

test("an error is one line that commands no terminal, whatever a file calls its parts", () => {
  expect(printed(false)).toBe("patchbay: a [2Jb: w : expected one line\n");
});

test("further faults of the same round are lines of their own, and a list of the object", () => {
  const inner = allOf([badInput("two", { field: "x" }), badInput("one")]);
  const several = allOf([badInput("one"), inner]);
  expect(printed(false, several)).toBe("patchbay: one\npatchbay: x: two\n");
  expect(JSON.parse(printed(true, several))).toEqual({
    error: { code: "bad_input", message: "one", others: [{ code: "bad_input", message: "x: two", field: "x" }] },
  });
});

test("of very many faults the first twenty are named, and how many more there are", () => {
  const faults = Array.from({ length: 30 }, (_, i) => badInput(`fault ${String(i)}`));
  const lines = printed(false, allOf([allOf([badInput("first"), ...faults.slice(0, 25)]), ...faults])).split("\n");
  expect(lines.slice(0, 2)).toEqual(["patchbay: first", "patchbay: fault 0"]);
  expect(lines.slice(20)).toEqual(["patchbay: and 11 more such faults", ""]);
});

test("as an object it keeps every character", () => {
  expect(JSON.parse(printed(true))).toMatchObject({ error: { file: "a\u001b[2Jb" } });
});
