/** @file What people see of an error. */
import { expect, onTestFinished, test, vi } from "vitest";
import { badInput } from "../../../src/base/errors.js";
import { printError } from "../../../src/base/print-error.js";

function printed(json: boolean): string {
  const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  onTestFinished(() => {
    write.mockRestore();
  });
  printError(badInput("expected one\nline", { file: "a\u001b[2Jb", field: "w\u009b" }), json);
  return write.mock.calls.map(([text]) => String(text)).join("");
}

test("an error is one line that commands no terminal, whatever a file calls its parts", () => {
  expect(printed(false)).toBe("patchbay: a [2Jb: w : expected one line\n");
});

test("as an object it keeps every character", () => {
  expect(JSON.parse(printed(true))).toMatchObject({ error: { file: "a\u001b[2Jb" } });
});
