/** @file `patchbay compare` on two small runs that differ in one score and in the ablation of circuits, and what it refuses. */
import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { patchbay, type Ended } from "./command.js";

const WORLD = fileURLToPath(new URL("../fixtures/tiny-a", import.meta.url));

let folder = "";
const out = (name: string): string => join(folder, "runs", name);
const compare = (...args: string[]): Promise<Ended> => patchbay(["compare", ...args]);

async function run(name: string, more: object): Promise<void> {
  const sweep = {
    name,
    model: { path: join(WORLD, "model") },
    dataset: { path: join(WORLD, "data/pairs.jsonl"), limit: 8 },
    scores: [
      { name: "atp", method: "atp" },
      { name: "mine", method: "relp" },
    ],
    truth: { positions: [-1], whole_sites: {} },
    circuits: { thresholds: [0.01, 0.1], completeness: false },
    ...more,
  };
  writeFileSync(join(folder, `${name}.json`), JSON.stringify(sweep));
  expect(await patchbay(["run", join(folder, `${name}.json`), "--out", out(name), "--backend", "wasm"])).toMatchObject({
    code: 0,
  });
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchbay-compare-"));
  const steps = { name: "mine", method: "ig", steps: 2 };
  await run("first", {});
  await run("second", {
    scores: [{ name: "atp", method: "atp" }, steps],
    circuits: { thresholds: [0.01, 0.1], completeness: false, ablation: "zero" },
  });
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

interface Printed {
  readonly a: { readonly run: string };
  readonly b: { readonly run: string };
  readonly clusters: number;
  readonly sections: readonly {
    readonly title: string;
    readonly tables: readonly { readonly columns: readonly string[]; readonly rows: readonly unknown[][] }[];
  }[];
}
const printed = ({ stdout }: Ended): Printed[] => JSON.parse(stdout) as Printed[];
const rowsOf = ({ sections }: Printed, section: string): readonly unknown[][] =>
  sections.find(({ title }) => title === section)?.tables[0]?.rows ?? [];

describe("patchbay compare", () => {
  it("says what differs, and by how much with intervals", async () => {
    const { code, stdout, stderr } = await compare(out("first"), out("second"));
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.match(/^##? .*$/gm)).toEqual([
      "# second − first",
      "## What differs",
      "## Nodes of kind site",
      "## Circuits",
    ]);
    expect(stdout).toContain("| circuits.ablation | mean | zero |");
    expect(stdout).toContain("| scores.mine.method | relp | ig |");
    expect(stdout).toMatch(/rough interval over 8 clusters of prompts/);
  });

  it("finds equal scores equal, and gives the numbers of validation.json", async () => {
    const ended = await compare(out("first"), out("second"), "--json", "--figure", join(folder, "figure.svg"));
    const [one] = printed(ended);
    expect(one).toMatchObject({ a: { run: "first" }, b: { run: "second" }, clusters: 8 });
    const rows = one === undefined ? [] : rowsOf(one, "Nodes of kind site");
    const equal = rows.filter(([, score]) => score === "AtP");
    expect(equal.length).toBeGreaterThan(5);
    for (const row of equal) {
      const { value } = row[6] as { value: number | null };
      expect(value).toBe((row[4] as { value: number | null }).value === null ? null : 0);
    }
    const groups = (JSON.parse(readFileSync(join(out("second"), "artifacts/validation.json"), "utf8")) as { groups: Record<string, unknown>[] }).groups; // prettier-ignore
    const written = groups.find(({ score, site, layer, position }) => score === "mine" && site === "mlp_out" && layer === null && position === null); // prettier-ignore
    const off = rows.find(
      ([site, score, , statistic]) => site === "mlp_out" && score === "mine" && statistic === "off",
    );
    expect(written).toMatchObject({ n: off?.[2], weighted: { off: off?.[5] } });
    expect(one === undefined ? [] : rowsOf(one, "Circuits")).toHaveLength(2);
    expect(readFileSync(join(folder, "figure.svg"), "utf8")).toMatch(/^<svg .*second − first/s);
  });

  it("compares the scores of one run, and each further run with the first", async () => {
    const [own] = printed(await compare(out("first"), "--json"));
    expect(new Set(own === undefined ? [] : rowsOf(own, "Nodes of kind site").map(([, score]) => score))).toEqual(
      new Set(["A AtP, B mine"]),
    );
    const copy = join(folder, "copy");
    cpSync(out("first"), copy, { recursive: true });
    const several = printed(await compare(out("first"), out("second"), copy, "--json"));
    expect(several.map(({ b }) => b.run)).toEqual(["second", "first"]);
    expect((await compare(out("first"), copy)).stdout).toMatch(/^# .*copy − .*first$/m);
    const crossed = await compare(out("first"), out("second"), "--estimators", "atp,mine");
    expect(crossed.stdout).toContain("| A AtP, B mine |");
  });

  it("takes the beginning of a name", async () => {
    expect(await compare(join(folder, "runs", "fir"), join(folder, "runs", "sec"))).toMatchObject({ code: 0 });
  });

  it("refuses a run of other code, names the field and both values, and prints nothing; unless it is allowed", async () => {
    const file = join(out("second"), "run.json");
    const text = readFileSync(file, "utf8");
    writeFileSync(file, text.replace(/"code": ".*"/, '"code": "another"'));
    const { code, stdout, stderr } = await compare(out("first"), out("second"));
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(
      /second: code: expected 0\.1\.0\+\w+, as in .*first, got another; --allow code compares them/,
    );
    expect(await compare(out("first"), out("second"), "--allow", "code")).toMatchObject({ code: 0 });
    writeFileSync(file, text);
  });

  it.each([
    ["a folder without a run", [], () => [folder], "expected the folder of a run"],
    ["a run twice", [], () => [out("first"), `${out("first")}/`], "expected a run other than"],
    ["a score that is none", ["--estimators", "atp,zero"], () => [out("first")], "--estimators: expected a score of"],
    ["three estimators", ["--estimators", "a,b,c"], () => [out("first")], "--estimators: expected two names"],
    [
      "a figure of another kind",
      ["--figure", "x.png"],
      () => [out("first")],
      "--figure: expected a file that ends in .svg",
    ],
    ["a figure nowhere", ["--figure", "nowhere/x.svg"], () => [out("first")], "--figure: expected a file in a folder"],
  ] as const)("refuses %s", async (_, options, runs, message) => {
    const { code, stdout, stderr } = await compare(...runs(), ...options);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(message);
  });

  it("refuses a run that has not ended, and a damaged artifact", async () => {
    const file = join(out("second"), "run.json");
    const text = readFileSync(file, "utf8");
    writeFileSync(file, text.replace('"status": "complete"', '"status": "running"'));
    const running = await compare(out("first"), out("second"));
    expect(running).toMatchObject({ code: 2, stdout: "" });
    expect(running.stderr).toContain("status: expected a complete run; this one has not ended");
    writeFileSync(file, text);
    appendFileSync(join(out("second"), "artifacts/truth.parquet"), "x");
    const damaged = await compare(out("second"));
    expect(damaged).toMatchObject({ code: 1, stdout: "" });
    expect(damaged.stderr).toContain("it was damaged after it was written");
  });
});
