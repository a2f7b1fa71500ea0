import { join } from "node:path";
import { ESLint } from "eslint";
import ts from "typescript-eslint";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "..", "..", "..");
const typed = new ESLint({ cwd: root, ignore: false });
/** Without the rules that need types, which take most of the time. */
const untyped = new ESLint({ cwd: root, ignore: false, overrideConfig: ts.configs.disableTypeChecked });

/** Rules that fire on a text, as if it were the file. */
async function rulesOn(eslint: ESLint, file: string, text?: string): Promise<(string | null)[]> {
  const path = join(root, file);
  const results = await (text === undefined
    ? eslint.lintFiles([path])
    : eslint.lintText(text, { filePath: path, warnIgnored: true }));
  return results.flatMap(({ messages }) => messages.map(({ ruleId }) => ruleId));
}

describe("lint rules that a wrong setting would silence", () => {
  test("an import cycle is an error", async () => {
    expect(await rulesOn(untyped, "test/fixtures/lint/cycle-a.ts")).toEqual(["import-x/no-cycle"]);
  });

  test.each([
    ["src/base/errors.ts", "../stats/rank.js"],
    ["src/model/model.ts", "../passes/capture.js"],
    ["src/experiments/truth/program.ts", "../circuits/program.js"],
    ["src/experiments/truth/program.ts", "../registry.js"],
    ["src/runlog/run-log.ts", "../wire/generated/patchbay.js"],
    ["src/engine/programs.ts", "../coordinator/state.js"],
    ["src/coordinator/state.ts", "../worker/supervisor.js"],
    ["src/coordinator/state.ts", "../cli/run-command.js"],
    ["src/cli/run-command.ts", "../worker/supervisor.js"],
    ["src/cli/run-command.ts", "../coordinator/state.js"],
    ["src/sae-training/adam.ts", "../../tools/tiny-world/train-model.js"],
  ])("%s may not import %s", async (file, imported) => {
    expect(await rulesOn(untyped, file, `import ${JSON.stringify(imported)};\n`)).toContain(
      "import-x/no-restricted-paths",
    );
  });

  test("importing from a layer further up is fine", async () => {
    expect(await rulesOn(untyped, "src/cli/run-command.ts", `import "../base/errors.js";\n`)).toEqual([]);
  });

  test("a module that is named in a string is an error outside the table of entries", async () => {
    const text = `export const file = new URL("../engine/engine-main.js", import.meta.url);\n`;
    expect(await rulesOn(untyped, "src/worker/engine-process.ts", text)).toEqual(["no-restricted-syntax"]);
  });

  test.each(["Math.exp(x)", "Math.hypot(x, 1)", "Math.atan2(x, 1)", "x ** 2", "10 ** x"])(
    "%s is an error where it could decide an artifact's bits, and none in a report",
    async (expression) => {
      const text = `export const of = (x: number): number => ${expression};\n`;
      expect(await rulesOn(untyped, "src/stats/rank.ts", text)).toEqual(["no-restricted-syntax"]);
      expect(await rulesOn(untyped, "src/report/labels.ts", text)).toEqual([]);
    },
  );

  test("powers of 2 and square roots are the same on every engine", async () => {
    const text = "export const of = (x: number): number => 2 ** 20 * Math.sqrt(x);\n";
    expect(await rulesOn(untyped, "src/stats/rank.ts", text)).toEqual([]);
  });

  test("a template literal may hold a number, and nothing that could print as null", async () => {
    const text = "export const say = (n: number, m: number | null): string => `${n} of ${m}`;\n";
    expect(await rulesOn(typed, "src/base/errors.ts", text)).toEqual([
      "@typescript-eslint/restrict-template-expressions",
    ]);
  });

  test("a fifth parameter is an error in src, but for the files that are listed", async () => {
    const text =
      "export const sum = (a: number, b: number, c: number, d: number, e: number): number => a + b + c + d + e;\n";
    expect(await rulesOn(untyped, "src/base/errors.ts", text)).toEqual(["max-params"]);
    expect(await rulesOn(untyped, "src/stats/dot.ts", text)).toEqual([]);
  });

  test("a forgotten promise is an error", async () => {
    const text = `export const forget = (): void => {\n  Promise.resolve();\n};\n`;
    expect(await rulesOn(typed, "src/base/errors.ts", text)).toContain("@typescript-eslint/no-floating-promises");
  });
});
