/** @file Plans of rows with spans: names in the place of positions, blocks of one layout, and what is refused with them. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { PatchbayError } from "../../../src/base/errors.js";
import { REGISTER } from "../../../src/experiments/registry.js";
import { pointsOf } from "../../../src/experiments/circuits/points.js";
import { nodeListOf } from "../../../src/plan/node-list.js";
import { planSweep, type PlannedRun } from "../../../src/plan/make-plan.js";
import { setsOf } from "../../../src/plan/set-expression.js";
import { slotGroups } from "../../../src/plan/node-slots.js";
import { tokenCounts } from "../../../src/plan/held-out.js";

const TINY_A = resolve("test/fixtures/tiny-a");
const FOLDER = mkdtempSync(join(tmpdir(), "patchbay-span-plans-"));

/** Rows whose subject is `words` long in the clean prompt and one word in the corrupted one. */
function rowsOf(name: string, subjects: readonly string[], spanName = "subject"): string {
  const rows = subjects.map((clean) => ({
    clean_prefix: `The ${clean} near the dog`,
    patch_prefix: "The cat near the dog",
    clean_answer: " are",
    patch_answer: " is",
    spans: { [spanName]: { clean: [4, 4 + clean.length], patch: [4, 7] } },
  }));
  const path = join(FOLDER, `${name}.jsonl`);
  writeFileSync(path, rows.map((row) => JSON.stringify(row)).join("\n"));
  return path;
}
const ROWS = rowsOf("rows", ["old cats", "cats", "old boys", "big dogs", "girls"]);

const sweep = (rest: string, dataset = `{ path: ${ROWS} }`): string => `name: spans
model: { path: model }
saes: { path: saes }
dataset: ${dataset}
scores: [{ name: atp, method: atp }]
${rest}
`;

async function plan(text: string): Promise<PlannedRun> {
  const named = { text, file: "sweep.yaml", baseFolder: TINY_A };
  return planSweep(REGISTER.experiments, named, { backend: "wasm", autoThreads: 1 });
}

async function fault(text: string): Promise<string> {
  try {
    await plan(text);
  } catch (error) {
    if (error instanceof PatchbayError) return error.message;
    throw error;
  }
  throw new Error("the sweep was accepted");
}

describe("a plan of rows with spans", () => {
  it("has the names, and blocks of prompts whose tokens have the same positions", async () => {
    const { plan: planned } = await plan(sweep("means: true"));
    expect(planned.sweep.spans).toEqual(["subject", "answer"]);
    expect(planned.prompts[0]?.spans?.[0]).toEqual({ clean: [2, 4], corrupted: [2, 3] });
    expect([...(planned.stages[0]?.shards ?? [])].map(({ prompts }) => prompts)).toEqual([
      [1, 4],
      [2, 0, 3],
    ]);
  });

  it("refuses a number beyond the spans, and says that it counts these", async () => {
    const text = sweep("experiments: [{ name: far, ablate: { kind: error, at: 2 } }]");
    expect(await fault(text)).toMatch(/ablate\.at: the kept prompts have at most 2 spans: positions -2 to 1, got 2/);
  });

  it("has a position's number for each name, wherever positions are named, and `all` is every span", async () => {
    const { plan: planned } = await plan(
      sweep(`sets: { at: [subjects], subjects: { kind: error, at: [subject, -1], minus: { kind: error, at: answer } } }
truth: { positions: [answer, 0, global], errors: {}, nodes: [{ kind: head, at: subject }] }
experiments:
  - { name: by-hooks, ablate: { nodes: [blocks.1.hook_mlp_out.hook_sae_error], positions: [answer] } }
  - { name: on-sets, grid: { P: [subject, answer, 1] }, ablate: { kind: error, at: $P } }`),
    );
    expect(setsOf(planned.sweep)).toMatchObject({ at: ["subjects"], subjects: { at: [0, -1], minus: { at: 1 } } });
    expect(nodeListOf(planned.sweep)).toMatchObject({ positions: [1, 0, "global"], nodes: [{ at: [0] }] });
    expect(planned.sweep["experiments"]).toMatchObject([{ ablate: { positions: [1] } }, { ablate: { at: "$P" } }]);
    const points = pointsOf(planned.sweep);
    expect(points.map(({ circuit, configuration }) => [circuit, configuration.ablate])).toMatchObject([
      ["on-sets[P=subject]", { at: 0 }],
      ["on-sets[P=answer]", { at: 1 }],
      ["on-sets[P=1]", { at: 1 }],
    ]);
    const all = await plan(sweep("truth: { heads: {} }"));
    const { shape, saes, sweep: listed } = all.plan;
    const groups = slotGroups({ sweep: listed, shape, saes, lengths: tokenCounts(all.plan) });
    const positions = groups.flatMap((group) => ("nodes" in group ? group.nodes.map(({ position }) => position) : []));
    expect(new Set(positions)).toEqual(new Set([0, 1]));
  });

  it.each([
    ["a name that no span has", "truth: { positions: [subjekt], errors: {} }", /sweep\.yaml:6: truth\.positions.*no span is called subjekt; the dataset's rows have subject, answer/], // prettier-ignore
    ["a name in an axis that no span has", "experiments: [{ name: a, grid: { P: [subject, verb] }, ablate: { kind: error, at: $P } }]", /sweep\.yaml:6: experiments\[0\]\.grid: no span is called verb/], // prettier-ignore
    ["a position that no span is", "truth: { positions: [2], errors: {} }", /positions -2 to 1, got 2/],
    ["resample ablation of circuits", "circuits: { ablation: resample }", /sweep\.yaml:6: circuits\.ablation: resample is not built for rows with spans.*use mean or zero/], // prettier-ignore
    ["resample ablation of an experiment", "experiments: [{ name: a, ablation: resample, ablate: { kind: error } }]", /sweep\.yaml:6: experiments: resample is not built/], // prettier-ignore
    ["all spans at once with another donor", "truth: { positions: [global], errors: {}, donor: mean }", /sweep\.yaml:6: truth\.positions: `global` with the donor mean is not built for rows with spans/], // prettier-ignore
    ["the same in a set", "truth: { nodes: [{ kind: error, at: global }], donor: mean }", /sweep\.yaml:6: truth\.nodes\[0\]: `global`/], // prettier-ignore
    ["a fit on rows with spans", `means: true\nfit: { path: ${ROWS} }`, /sweep\.yaml:7: fit\.path: .*a fit on rows with spans is not built/], // prettier-ignore
  ])("refuses %s before anything runs", async (_what, rest, message) => {
    expect(await fault(sweep(rest))).toMatch(message);
  });

  it("refuses names where rows have no spans, a chat, and held-out rows with other spans", async () => {
    const pairs = "{ path: data/pairs.jsonl }";
    expect(await fault(sweep("truth: { positions: [subject], errors: {} }", pairs))).toMatch(
      /sweep\.yaml:6: truth\.positions.*got subject; the dataset's rows have none/,
    );
    expect(await fault(sweep("means: true", `{ path: ${ROWS}, chat: true }`))).toMatch(
      /sweep\.yaml:4: dataset\.chat: is not built for rows with spans/,
    );
    const other = rowsOf("other", ["old girls"], "noun");
    expect(await fault(sweep("circuits: {}", `{ select: { path: ${ROWS} }, evaluate: { path: ${other} } }`))).toMatch(
      /sweep\.yaml:4: dataset\.select: has other spans than `evaluate` \(subject, answer here, noun, answer there\)/,
    );
    const held = rowsOf("held", ["old girls"]);
    const two = await plan(sweep("circuits: {}", `{ select: { path: ${ROWS} }, evaluate: { path: ${held} } }`));
    expect(two.plan.evaluated).toBe(1);
  });

  it("names file, line and field of a span that has no tokens of its own", async () => {
    const bad = join(FOLDER, "bad.jsonl");
    const row = { clean_prefix: "The cats", patch_prefix: "The cat", clean_answer: " are", patch_answer: " is" };
    writeFileSync(bad, JSON.stringify({ ...row, spans: { subject: { clean: [4, 8], patch: [4, 7] } } }));
    expect(await fault(sweep("means: true", `{ path: ${bad} }`))).toMatch(
      /sweep\.yaml:4: dataset: bad\.jsonl:1: spans\.subject\.clean: holds the last token/,
    );
  });
});
