/** @file The truth of sets: its nodes are those of the same sets in experiments, each with the probability that it came in with. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readParquet, type ParquetRow } from "../../src/artifacts/parquet.js";
import { readScoreMeans } from "../../src/artifacts/scores-file.js";
import type { SplicedModel } from "../../src/passes/spliced-model.js";
import { readArtifact } from "../../src/run/artifacts.js";
import { runPaths } from "../../src/run/run-folder.js";
import { goldenJson, goldenSpliced, TINY_A } from "./golden.js";
import { runPipeline } from "./pipeline.js";

const BASE = `name: measured
model: { path: model }
saes: { path: saes }
scores: [{ name: atp, method: atp }]
`;
const PAIRS = `${BASE}dataset: { path: data/pairs.jsonl }\n`;
const MIXED = `${BASE}dataset: { path: data/pairs-mixed-lengths.jsonl }\n`;

let model: SplicedModel;
beforeAll(async () => {
  model = await goldenSpliced();
});
afterAll(() => {
  model.dispose();
});

async function run(
  text: string,
): Promise<{ folder: string; warnings: string[]; table: (name: string) => Promise<ParquetRow[]> }> {
  const { folder, warnings } = await runPipeline(text, TINY_A, model);
  return {
    folder,
    warnings,
    table: async (name) => (await readParquet(runPaths(folder).artifact(name))).rows,
  };
}

const nodesOf = async (text: string): Promise<ParquetRow[]> => (await run(text)).table("nodes.parquet");

/** A node's hook, position and index. */
function nameOf(row: ParquetRow): string {
  const index = row["index"] ?? [row["feature"], row["head"], row["neuron"]].find((one) => Number(one) >= 0) ?? -1;
  return [row["hook"], row["global"] === true ? "global" : row["position"], index].join(" ");
}

const namesOf = (rows: readonly ParquetRow[]): string[] => rows.map(nameOf).toSorted();
const probabilityOf = (row: ParquetRow): number => Number(row["inclusion_probability"]);

const RULES = ["closest", "closest_signed", "committee", "committee_by_sign"] as const;
/** Sets, each of places of its own. */
const SETS = {
  ...Object.fromEntries(
    RULES.map((how, layer) => [
      how,
      `{ set: feat, site: resid_post, layers: ${String(layer)}, match: { to: { set: err, site: resid_post }, how: ${how} } }`,
    ]),
  ),
  reaching: `{ set: feat, site: mlp_out, layers: 0, where: "abs >= 0.01" }`,
  negative: `{ set: feat, site: mlp_out, layers: 1..2, top: 4, per: site, sign: negative }`,
  both: `{ kind: [feature, error], site: mlp_out, layers: 3, at: [2, -1], top: 3, per: all }`,
  summed: `{ kind: feature, site: attn_z, layers: 0, at: [2, 4, -1], top: 2, over: sum }`,
  drawn: `{ set: feat, site: attn_z, layers: 1, sample: { n: 7, seed: 5 } }`,
  left: `{ kind: error, site: attn_z, layers: 2, at: [3, 4, 5], minus: { kind: error, at: 4 } }`,
  some: `{ kind: feature, site: attn_z, layers: 3, at: -1, features: [2, 5, 9, 40, 77], minus: [{ kind: feature, features: [5] }] }`,
};
const NAMES = Object.keys(SETS);
const NAMED = `sets:
  err: { kind: error, at: -1 }
  feat: { kind: feature, at: -1 }
${Object.entries(SETS)
  .map(([name, text]) => `  ${name}: ${text}\n`)
  .join("")}`;

describe("the nodes of a set whose truth is measured", () => {
  it("are those of the same set in experiments, less features that no pair changes", async () => {
    const text = `${PAIRS}${NAMED}experiments: [{ name: all, grid: { what: [${NAMES.join(", ")}] }, ablate: { set: $what } }]
truth: { nodes: [${NAMES.join(", ")}] }\n`;
    const { table } = await run(text);
    const [nodes, sets] = [await table("nodes.parquet"), await table("sets.parquet")];
    const changed = new Set(namesOf(await nodesOf(`${PAIRS}truth: { nodes: [{ kind: feature, at: [2, 4, -1] }] }\n`)));
    const isMeasured = (name: string): boolean => !name.includes("hook_sae_acts_post") || changed.has(name);
    // A run of neighbours is one row where no score chose them.
    const inSets = sets.flatMap((row) =>
      Array.from({ length: Number(row["count"]) }, (_, i) => ({ ...row, index: Number(row["index"]) + i })),
    );
    expect(new Set(sets.map((row) => row["list"])).size).toBe(NAMES.length);
    expect(namesOf(nodes)).toEqual(namesOf(inSets).filter(isMeasured));
    expect(nodes.length).toBeGreaterThan(60);
    const probabilities = new Map(inSets.map((row) => [nameOf(row), probabilityOf(row)]));
    for (const row of nodes) expect(probabilityOf(row), nameOf(row)).toBe(probabilities.get(nameOf(row)));
    const sampled = nodes.filter((row) => probabilityOf(row) < 1);
    expect(sampled.length).toBeGreaterThan(1);
    expect(new Set(sampled.map((row) => row["hook"]))).toEqual(new Set(["blocks.1.attn.hook_z.hook_sae_acts_post"]));
    const truth = await table("truth.parquet");
    expect(new Set(namesOf(truth))).toEqual(new Set(namesOf(nodes)));
  });

  it.each(["closest", "committee"])("are the reference's features under the rule %s", async (how) => {
    const golden = goldenJson("extra/grids") as {
      grids: { experiment: string; axes: Record<string, unknown>; ablate: Record<string, number[]> }[];
    };
    const points = golden.grids.filter(({ experiment, axes }) => experiment === "matched" && axes["what"] === how);
    expect(points.length).toBeGreaterThan(8);
    const entries = points.map(({ axes: { S, P } }) => {
      const place = `site: ${String(S)}, at: ${String(P)}, layers: 0..2`;
      return `{ kind: feature, ${place}, match: { to: { kind: error, ${place} }, how: ${how} } }`;
    });
    const nodes = await nodesOf(`${PAIRS}truth: { nodes: [${entries.join(", ")}] }\n`);
    const expected = points.flatMap(({ axes, ablate }) =>
      Object.entries(ablate).flatMap(([hook, features]) =>
        features.map((feature) => [hook, axes["P"], feature].join(" ")),
      ),
    );
    // Where no sum reaches the score a committee is all features: those that no pair changes are not measured.
    const changed =
      how === "closest"
        ? new Set(expected)
        : new Set(
            namesOf(await nodesOf(`${PAIRS}truth: { nodes: [{ kind: feature, at: [2, 3, 4, 5], layers: 0..2 }] }\n`)),
          );
    const measured = expected.filter((name) => changed.has(name));
    expect(measured.length).toBeGreaterThan(expected.length / 3);
    expect(namesOf(nodes)).toEqual(measured.toSorted());
  });
});

describe("a set's own top and sample", () => {
  const BESIDE = "top: 3, sample: { n: 6, seed: 2 }";
  const [plain, found] = [`{ kind: feature, at: -1, ${BESIDE} }`, `{ set: feat, ${BESIDE} }`];
  const text = (nodes: string): string =>
    `${PAIRS}sets: { feat: { kind: feature, at: -1 } }\ntruth: { nodes: [${nodes}] }\n`;

  it("take the strongest, and draw from the rest as a plain set does: a frame is as large whichever draws from it", async () => {
    const [own, other] = [await nodesOf(text(plain)), await nodesOf(text(found))];
    const top = (rows: readonly ParquetRow[]): string[] => namesOf(rows.filter((row) => row["stratum"] === "top"));
    expect(top(other)).toEqual(top(own));
    expect(top(own)).toHaveLength(36);
    for (const hook of new Set(own.map((row) => row["hook"]))) {
      const size = (rows: readonly ParquetRow[], stratum?: string): number =>
        rows
          .filter((row) => row["hook"] === hook && (stratum === undefined || row["stratum"] === stratum))
          .reduce((sum, row) => sum + 1 / probabilityOf(row), 0);
      for (const stratum of ["top_5_percent", "next_25_percent", "remainder", undefined])
        expect(size(other, stratum), String(hook)).toBeCloseTo(size(own, stratum), 9);
    }
  });

  it("draw nothing that another set takes with certainty, and list once what a named sample drew too", async () => {
    const nodes = await nodesOf(
      `${PAIRS}sets: { few: { kind: feature, site: mlp_out, layers: 1, at: -1, sample: { n: 20, seed: 2 } } }
truth: { nodes: [few, { set: { kind: feature, at: -1 }, layers: 2, sample: { n: 8 } }, { kind: feature, at: -1, layers: 1..2, where: "abs >= 0.01" }] }\n`,
    );
    expect(new Set(namesOf(nodes)).size).toBe(nodes.length);
    const strong = nodes.filter((row) => row["stratum"] === "all");
    expect(strong.every((row) => probabilityOf(row) === 1)).toBe(true);
    expect(strong.length).toBeGreaterThan(10);
    for (const layer of [1, 2]) {
      const drawn = nodes.filter(
        (row) => String(row["hook"]).startsWith(`blocks.${String(layer)}.`) && probabilityOf(row) < 1,
      );
      expect(drawn.length).toBeGreaterThan(0);
    }
  });

  it("rank and draw each kind that a set names apart", async () => {
    const both = await nodesOf(text("{ kind: [error, feature], at: [3, -1], top: 1, sign: positive }"));
    const each = ["error", "feature"].map((kind) => `{ kind: ${kind}, at: [3, -1], top: 1, sign: positive }`);
    expect(both).toEqual(await nodesOf(text(each.join(", "))));
    expect(both).toHaveLength(24);
  });
});

describe("nodes that are patched at all positions at once", () => {
  it("go by the sum of their scores over positions, apart from those at single positions", async () => {
    const { folder, table } = await run(
      `${PAIRS}truth: { nodes: [{ kind: [feature, error], layers: 1, at: [global, 3], where: "score >= 0.002" }] }\n`,
    );
    const nodes = await table("nodes.parquet");
    const means = await readScoreMeans((name) => readArtifact(folder, name), "atp");
    const expected = [...means.features, ...means.errors].flatMap(([hook, scores]) => {
      if (!hook.startsWith("blocks.1.")) return [];
      const isError = scores.length < 128;
      const name = `${hook}.hook_sae_${isError ? "error" : "acts_post"}`;
      const width = isError ? 1 : 128;
      return Array.from({ length: width }, (_, index) => {
        const at = Array.from({ length: scores.length / width }, (_, t) => Number(scores[t * width + index]));
        const sum = at.reduce((a, b) => a + b, 0);
        const label = isError ? -1 : index;
        return [
          ...(sum >= 0.002 ? [`${name} global ${String(label)}`] : []),
          ...(Number(at[3]) >= 0.002 ? [`${name} 3 ${String(label)}`] : []),
        ];
      }).flat();
    });
    expect(expected.length).toBeGreaterThan(20);
    expect(namesOf(nodes)).toEqual(expected.toSorted());
  });
});

describe("prompts of several lengths", () => {
  it("have nodes from both ends, each chosen by the mean score of the prompts that have it", async () => {
    const places = "kind: [head, error], at: [2, -1, -2], layers: 1..2";
    const all = await (await run(`${MIXED}truth: { nodes: [{ ${places} }] }\n`)).table("validation.parquet");
    const expected = all.filter((row) => Math.abs(Number(row["atp"])) >= 0.003);
    expect(expected.length).toBeGreaterThan(5);
    expect(expected.length).toBeLessThan(all.length);
    const nodes = await nodesOf(`${MIXED}truth: { nodes: [{ ${places}, where: "abs >= 0.003" }] }\n`);
    expect(namesOf(nodes)).toEqual(namesOf(expected));
  });
});

describe("a set that scores leave without nodes", () => {
  it("is warned of", async () => {
    const { warnings, table } = await run(
      `${PAIRS}truth: { nodes: [{ kind: error, where: "abs > 1000" }, { kind: error, at: -1 }] }\n`,
    );
    expect(warnings.join("\n")).toContain("truth: no node was left to choose at 1 place, the first blocks.0.");
    expect(await table("nodes.parquet")).toHaveLength(12);
  });
});
