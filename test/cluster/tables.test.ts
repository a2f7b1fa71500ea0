/** @file `patchbay tables` on a run: its figures are those of the run's own statistics, as text and as JSON. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { patchbay } from "./command.js";

const WORLD = fileURLToPath(new URL("../fixtures/tiny-a", import.meta.url));

let folder = "";
let out = "";

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchbay-tables-"));
  out = join(folder, "run");
  const sweep = {
    name: "tables",
    model: { path: join(WORLD, "model") },
    saes: { path: join(WORLD, "saes") },
    dataset: { path: join(WORLD, "data/pairs.jsonl"), limit: 8 },
    scores: [
      { name: "atp", method: "atp" },
      { name: "mine", method: "relp" },
    ],
    truth: { errors: {}, features: { top: 4, random: 2 } },
    circuits: { thresholds: { log10: [-2, -1], count: 2 } },
  };
  writeFileSync(join(folder, "sweep.json"), JSON.stringify(sweep));
  expect(await patchbay(["run", join(folder, "sweep.json"), "--out", out, "--backend", "wasm"])).toMatchObject({
    code: 0,
  });
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

type Bounded = Readonly<Record<"value" | "low" | "high", number | null>>;
interface Printed {
  readonly run: string;
  readonly sections: readonly {
    readonly title: string;
    readonly tables: readonly { readonly title: string; readonly rows: readonly (string | number | Bounded)[][] }[];
  }[];
}
interface Group {
  readonly kind: string;
  readonly site: string;
  readonly score: string;
  readonly layer: number | null;
  readonly position: number | null;
  readonly n: number;
  readonly pearson: Bounded;
  readonly spearman: Bounded;
  readonly sign_agreement: Bounded;
  readonly slope: Bounded;
}

const SPELLED: Readonly<Record<string, string>> = { atp: "AtP" };

describe("patchbay tables", () => {
  it("prints a section for each kind of node and one for circuits", async () => {
    const { code, stdout, stderr } = await patchbay(["tables", out]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.match(/^## .*$/gm)).toEqual(["## Nodes of kind error", "## Nodes of kind feature", "## Circuits"]);
    expect(stdout).toMatch(
      /^\| (attn_z|mlp_out|resid_post) \| AtP \| \d+ \| (−?[\d.]+ \[−?[\d.]+, −?[\d.]+\] \| ?){5}$/m,
    );
    expect(stdout).toMatch(/^\| {2}\| mine \| /m);
  });

  it("gives the statistics of validation.json by site, and for error nodes its intervals", async () => {
    const { stdout } = await patchbay(["tables", out, "--json"]);
    const [printed] = JSON.parse(stdout) as Printed[];
    const { groups } = JSON.parse(readFileSync(join(out, "artifacts/validation.json"), "utf8")) as { groups: Group[] };
    for (const kind of ["error", "feature"]) {
      const section = printed?.sections.find(({ title }) => title === `Nodes of kind ${kind}`);
      const rows = section?.tables.find(({ title }) => title === "By site")?.rows ?? [];
      const known = groups.filter(
        (group) => group.kind === kind && group.position === null && group.layer === null && group.n >= 3,
      );
      expect(rows).toHaveLength(known.length);
      for (const { site, score, n, ...group } of known) {
        const row = rows.find(([label, name]) => label === site && name === (SPELLED[score] ?? score));
        const statistics = [group.pearson, group.spearman, group.sign_agreement, group.slope];
        const wanted = statistics.map(({ value, low, high }) => (kind === "error" ? { value, low, high } : { value }));
        expect(row?.[2]).toBe(n);
        expect(row?.slice(3, 7)).toMatchObject(wanted);
      }
    }
  });

  it("prints several runs under their names, and nothing where one of them is no run", async () => {
    const both = await patchbay(["tables", out, out]);
    expect(both.stdout.match(/^# .*$/gm)).toEqual([`# tables (${out})`, `# tables (${out})`]);
    const { code, stdout, stderr } = await patchbay(["tables", out, folder]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(
      `patchbay: ${folder}: expected the folder of a run, which holds run.json: name the folder that \`patchbay run\` wrote to`,
    );
    expect(stderr).toContain(out);
  });

  it("says how it is used", async () => {
    const help = await patchbay(["tables", "--help"]);
    expect(help).toMatchObject({ code: 0 });
    expect(help.stdout).toContain("Usage: patchbay tables [options] <run...>");
    expect(await patchbay(["tables"])).toMatchObject({ code: 2, stdout: "" });
  });
});
