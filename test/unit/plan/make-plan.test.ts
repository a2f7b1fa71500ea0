import { cpSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { PatchbayError } from "../../../src/base/errors.js";
import { planSweep, type PlannedRun } from "../../../src/plan/make-plan.js";
import type { Stage } from "../../../src/plan/plan.js";
import { REGISTER } from "../../../src/experiments/registry.js";
import { truthTask } from "../../../src/experiments/truth/task.js";
import { circuitsSpecOf } from "../../../src/experiments/circuits/spec.js";

const TINY_A = resolve("test/fixtures/tiny-a");
/** A configuration that names a part of an error. */
const PART = "experiments: [{ name: a, ablate: { nodes: [blocks.3.hook_mlp_out.hook_sae_error_linear] } }]\n";
const OPTIONS = { backend: "wasm", autoThreads: 1 };

const FULL = `name: tiny
model: { path: model }
saes: { path: saes }
dataset: { path: data/pairs.jsonl }
scores: [{ name: atp, method: atp }, { name: ig, method: ig }]
truth: { positions: [2, -1, global], errors: {}, features: { top: 3, random: 4 } }
circuits: {}
`;

async function plan(text: string): Promise<PlannedRun> {
  return planSweep(REGISTER.experiments, { text, file: "sweep.yaml", baseFolder: TINY_A }, OPTIONS);
}

async function fault(text: string): Promise<PatchbayError> {
  try {
    await plan(text);
  } catch (error) {
    if (error instanceof PatchbayError) return error;
    throw error;
  }
  throw new Error("the sweep was accepted");
}

describe("planSweep", () => {
  it("derives stages in an order in which each follows what it depends on", async () => {
    const { plan: planned } = await plan(FULL);
    const ids = planned.stages.map(({ id }) => id);
    expect(ids).toEqual([
      "means",
      "scores-atp",
      "scores-ig",
      "nodes",
      "truth-error",
      "floor-error",
      "truth-feature",
      "floor-feature",
      "validation",
      "circuits",
    ]);
    for (const { id, dependsOn } of planned.stages) {
      for (const before of dependsOn) expect(ids.indexOf(before)).toBeLessThan(ids.indexOf(id));
    }
  });

  it("renders prompts by the chat template where the dataset says so, and names the field where there is none", async () => {
    const text = FULL.replace("pairs.jsonl }", "pairs.jsonl, chat: true }");
    const [chat, bare] = [await plan(text), await plan(FULL)];
    expect(chat.texts[0]?.clean.text).toBe(
      `<start_of_turn>user\n${bare.texts[0]?.clean.text ?? ""}<end_of_turn>\n<start_of_turn>model\n`,
    );
    expect(chat.plan.sweep.dataset).toEqual({ chat: true });
    expect(bare.plan.sweep.dataset).toEqual({});
    expect((await fault(FULL.replace("pairs.jsonl }", 'pairs.jsonl, template: "{question}" }'))).message).toContain(
      "sweep.yaml:4: dataset.template: is for rows of multiple choice and of true or false",
    );
    const folder = mkdtempSync(join(tmpdir(), "patchbay-no-template-"));
    cpSync(join(TINY_A, "model"), folder, { recursive: true, filter: (path) => !path.endsWith(".jinja") });
    expect((await fault(text.replace("path: model", `path: ${folder}`))).message).toMatch(
      /sweep\.yaml:4: dataset\.chat: .*expected a chat template/,
    );
  });

  it("names the field of rows none of which can be used", async () => {
    const path = join(mkdtempSync(join(tmpdir(), "patchbay-unusable-")), "rows.jsonl");
    writeFileSync(
      path,
      '{"clean_prefix":"The boy","patch_prefix":"The boys","clean_answer":" zebra","patch_answer":" are"}\n',
    );
    const text = FULL.replace("path: data/pairs.jsonl", `select: { path: data/pairs.jsonl }, evaluate: { path: ${path} }`); // prettier-ignore
    expect((await fault(text)).message).toMatch(
      /^sweep\.yaml:4: dataset\.evaluate: expected at least one usable row, got none: all 1 were dropped/,
    );
  });

  it("refuses held-out rows that choose too, that are longer than what chooses, or of another kind", async () => {
    const held = (select: string, evaluate: string): string =>
      FULL.replace("{ path: data/pairs.jsonl }", `{ select: { path: ${select} }, evaluate: { path: ${evaluate} } }`);
    const same = await fault(held("data/pairs.jsonl", "data/pairs.jsonl"));
    expect(same.message).toMatch(/24 of its rows are rows of `select` too, the first in line 1 \(line 1 there\)/);
    expect(same.detail).toMatchObject({ field: "dataset.evaluate", line: 4 });
    expect((await fault(held("data/plain.jsonl", "data/pairs.jsonl"))).message).toMatch(/pairs and the other plain/);
    const both = await fault(held("data/missing.jsonl", "data/lost.jsonl"));
    expect([both.message, ...both.others.map(({ message }) => message)].join()).toMatch(
      /lost\.jsonl[^]*missing\.jsonl/,
    );
    const half = await fault(FULL.replace("{ path: data/pairs.jsonl }", "{ select: { path: data/pairs.jsonl } }"));
    expect(half.detail.field).toBe("dataset.evaluate");
    const longer = await fault(held("data/pairs.jsonl", "data/pairs-mixed-lengths.jsonl"));
    expect(longer.message).toMatch(/has a prompt of \d+ tokens, and the longest of `select` has 7/);
  });

  it("refuses rows to evaluate where nothing is measured on them", async () => {
    const dataset =
      "{ select: { path: data/pairs-mixed-lengths.jsonl }, evaluate: { path: data/pairs.jsonl, limit: 6 } }";
    const held = FULL.replace("{ path: data/pairs.jsonl }", dataset);
    expect((await plan(held)).plan.evaluated).toBe(6);
    const faulty = FULL.replace("{ path: data/pairs.jsonl }", "{ select: { path: data/pairs.jsonl }, evaluate: { path: data/pairs-with-faults.jsonl } }"); // prettier-ignore
    expect(new Set((await plan(faulty.replace("pairs.jsonl", "pairs-mixed-lengths.jsonl"))).dropped.map(({ use }) => use))).toEqual(new Set(["evaluate"])); // prettier-ignore
    const idle = await fault(held.replace(/^(truth|circuits):.*\n/gm, ""));
    expect(idle.message).toContain("dataset.evaluate: nothing is measured on these rows: scores and means are of");
    expect(idle.detail).toMatchObject({ field: "dataset.evaluate", line: 4 });
  });

  it("evaluates circuits without SAEs in the variant `all` alone, with means of the sites", async () => {
    const text = FULL.replace("saes: { path: saes }\n", "").replace(/truth: .*\n/, "");
    const { plan: planned } = await plan(text);
    expect(circuitsSpecOf(planned.sweep)?.variants).toEqual(["all"]);
    expect(planned.stages.map(({ id }) => id)).toEqual(["means", "scores-atp", "scores-ig", "circuits"]);
  });

  it("measures the numeric noise floor at every site, and at no slot twice", async () => {
    const text = FULL.replace(/saes: .*\n/, "").replace(/truth: .*\n/, "truth: { whole_sites: {} }\n");
    const { plan: planned } = await plan(text);
    const floor = [...(planned.stages.find(({ id }) => id === "floor-site")?.shards ?? [])];
    const slots = floor.flatMap(({ slots: [start, end] = [0, 0] }) =>
      Array.from({ length: end - start }, (_, i) => start + i),
    );
    expect(new Set(slots).size).toBe(slots.length);
    // Slots: layer, site, position; 7 positions, 3 sites.
    expect(new Set(slots.map((slot) => Math.floor(slot / 7) % 3))).toEqual(new Set([0, 1, 2]));
  });

  it("covers every prompt once in each stage, and every slot of every prompt in truth", async () => {
    const { plan: planned } = await plan(FULL);
    const slots = 12 * 3 + 12 * 2 * 7;
    expect(planned.nodeSlots).toBe(slots);
    const cells = new Set<string>();
    for (const { task, shards } of planned.stages) {
      if (task.kind === "scores" || task.kind === "means") {
        const listed = [...shards].flatMap(({ prompts }) => prompts);
        expect([...listed].sort((a, b) => a - b)).toEqual(planned.prompts.map((_, i) => i));
      }
      if (truthTask(task)?.floor !== false) continue;
      for (const { prompts, slots: range } of shards) {
        const [start, end] = range ?? [0, 0];
        for (const prompt of prompts) {
          for (let slot = start; slot < end; slot++) {
            const cell = `${String(prompt)}/${String(slot)}`;
            expect(cells.has(cell)).toBe(false);
            cells.add(cell);
          }
        }
      }
    }
    expect(cells.size).toBe(planned.prompts.length * slots);
  });

  it("sorts prompts by their tokens before it cuts blocks, so that those of one beginning are neighbours", async () => {
    const { plan: planned } = await plan(FULL);
    const listed = [...(planned.stages[0]?.shards ?? [])].flatMap(({ prompts }) => prompts);
    for (let length = 1; length <= 3; length++) {
      const beginnings = listed.map((p) => planned.prompts[p]?.clean.slice(0, length).join(" "));
      const changes = beginnings.filter((beginning, i) => beginning !== beginnings[i - 1]);
      expect(changes.length).toBe(new Set(beginnings).size);
    }
    expect(listed).not.toEqual([...listed].sort((a, b) => a - b));
  });

  it("puts prompts of one token count only in a shard", async () => {
    const { plan: planned } = await plan(FULL.replace("pairs.jsonl", "pairs-mixed-lengths.jsonl"));
    const shards = planned.stages.flatMap((stage) => [...stage.shards]);
    for (const { prompts } of shards) {
      expect(new Set(prompts.map((p) => planned.prompts[p]?.clean.length)).size).toBe(1);
    }
  });

  it("hashes what is computed and not where the files lie or how the sweep is spelled", async () => {
    const first = await plan(FULL);
    const spelled = await plan(FULL.replaceAll("path: ", `path: ${TINY_A}/`).concat("seed: 0\n"));
    const sharded = await plan(FULL.replace("path: model", "path: model-bf16"));
    const seeded = await plan(`${FULL}seed: 1\n`);
    expect(spelled.planHash).toBe(first.planHash);
    expect(new Set([first.planHash, sharded.planHash, seeded.planHash]).size).toBe(3);
    expect(JSON.stringify(first.plan)).not.toContain(TINY_A);
  });

  it("splits errors before they are scored or patched, a shard for each SAE, on pairs whose bytes the hash knows", async () => {
    const FIT = `${FULL}fit: { path: data/pairs-mixed-lengths.jsonl, limit: 5 }\n`.replace(
      "errors: {},",
      "nodes: [{ kind: error_linear, site: mlp_out, layers: [1, 2], at: [-1, 2, global] }, { kind: error_linear, layers: [2], at: [2, 3] }],",
    );
    const { plan: planned, inputs, planHash } = await plan(FIT + PART);
    const stage = (id: string): Stage | undefined => planned.stages.find((one) => one.id === id);
    expect(planned.stages.map(({ id }) => id).slice(0, 4)).toEqual(["means", "fit", "scores-atp", "scores-ig"]);
    expect([...(stage("fit")?.shards ?? [])].map(({ prompts, slots }) => [prompts, slots])).toEqual(
      Array.from({ length: 12 }, (_, i) => [[], [i, i + 1]]),
    );
    expect(planned.fitPrompts).toHaveLength(5);
    expect(planned.sweep["fit"]).toEqual({ limit: 5, ridge: 1e-3 });
    expect(inputs.fit).toBe(`${TINY_A}/data/pairs-mixed-lengths.jsonl`);
    expect(JSON.stringify(planned)).not.toContain(TINY_A);
    expect(stage("scores-ig")?.dependsOn).toEqual(["fit"]);
    expect(stage("scores-ig")?.reads).toHaveLength(12);
    // One site at three places, one at four that two sets name, and two at two.
    const slots = [...(stage("truth-error_linear")?.shards ?? [])].map((shard) => shard.slots ?? [0, 0]);
    expect(Math.max(...slots.map(([, end]) => end)) - Math.min(...slots.map(([start]) => start))).toBe(3 + 4 + 2 * 2);
    expect(stage("truth-error_linear")?.dependsOn).toEqual(["nodes", "fit"]);
    expect(stage("truth-feature")?.dependsOn).toEqual(["nodes"]);
    expect(stage("circuits")?.dependsOn).toEqual(["means", "scores-atp", "fit"]);
    expect(stage("circuits")?.reads.slice(2)).toEqual(["error-fit-blocks.3.hook_mlp_out.safetensors"]);
    expect(stage("truth-error_linear")?.reads).toEqual([
      "nodes.parquet",
      "error-fit-blocks.1.hook_mlp_out.safetensors",
      "error-fit-blocks.2.hook_mlp_out.safetensors",
      "error-fit-blocks.2.attn.hook_z.safetensors",
      "error-fit-blocks.2.hook_resid_post.safetensors",
    ]);
    const others = ["pairs.jsonl", "pairs-mixed-lengths.jsonl, ridge: 0.1"].map(async (file) =>
      plan(FIT.replace("pairs-mixed-lengths.jsonl,", `${file},`) + PART),
    );
    const hashes = (await Promise.all(others)).map((one) => one.planHash);
    expect(new Set([planHash, ...hashes]).size).toBe(3);
  });

  it("says nothing of a fit where the sweep has none", async () => {
    expect(JSON.stringify((await plan(FULL)).plan)).not.toContain("fit");
  });

  it("lists dropped rows with their reasons", async () => {
    const { dropped, plan: planned } = await plan(FULL.replace("pairs.jsonl", "pairs-with-faults.jsonl"));
    expect(dropped).toHaveLength(6);
    expect(planned.prompts.map(({ line }) => line)).toEqual([1, 5, 9]);
  });

  it.each([
    [
      "an impossible position",
      FULL.replace("[2, -1, global]", "[2, 7]"),
      "sweep.yaml:6: truth.positions[1]: the kept prompts have at most 7 tokens",
    ],
    [
      "a layer the model lacks",
      FULL.replace("errors: {}", "errors: { layers: [0, 4] }"),
      "sweep.yaml:6: truth.errors.layers[1]: the model has layers 0 to 3, got 4",
    ],
    [
      "unknown scores",
      FULL.replace("random: 4", "random: 4, by: relp"),
      "sweep.yaml:6: truth.features.by: no scores are called relp (there are: atp, ig)",
    ],
    [
      "a feature the SAE lacks",
      FULL.replace("{ top: 3, random: 4 }", "[{ hook: blocks.0.hook_mlp_out.hook_sae_acts_post, feature: 128 }]"),
      "truth.features[0].feature: the SAE at blocks.0.hook_mlp_out.hook_sae_acts_post has features 0 to 127",
    ],
    [
      "truth on a plain dataset",
      FULL.replace("pairs.jsonl", "plain.jsonl"),
      "sweep.yaml:5: scores[0].method: a plain dataset",
    ],
    [
      "truth on a plain dataset without scores of its own",
      FULL.replace("pairs.jsonl", "plain.jsonl").replace(/scores: .*\n/, "").replace(/truth: .*/, "truth: { donor: mean, errors: {} }").replace("circuits: {}\n", ""), // prettier-ignore
      "sweep.yaml:5: truth: compares true effects with scores, and a plain dataset",
    ],
    [
      "scores that name neither a method nor a run",
      FULL.replace("{ name: ig, method: ig }", "{ name: ig }"),
      "sweep.yaml:5: scores[1].from: give `method`, or the folder of a run in `from`, got nothing",
    ],
    [
      "held-out rows as a chat, beside others that are none",
      FULL.replace("{ path: data/pairs.jsonl }", "{ select: { path: data/pairs-mixed-lengths.jsonl }, evaluate: { path: data/pairs.jsonl, limit: 6, chat: true } }"), // prettier-ignore
      "sweep.yaml:4: dataset: one of `select` and `evaluate` is rendered as a chat",
    ],
    [
      "error nodes without SAEs",
      FULL.replace("saes: { path: saes }\n", "").replace("circuits: {}\n", ""),
      "sweep.yaml:5: truth.errors: patching of error nodes needs SAEs",
    ],
    [
      "a variant that ablates error nodes without SAEs",
      FULL.replace("saes: { path: saes }\n", "")
        .replace(/truth: .*\n/, "")
        .replace("circuits: {}", "circuits: { variants: [all, no_resid_errors] }"),
      "sweep.yaml:5: circuits.variants[1]: ablates error nodes, and a sweep without SAEs has none",
    ],
    [
      "a variant that is listed twice",
      FULL.replace("circuits: {}", "circuits: { variants: [all, no_resid_errors, all] }"),
      "sweep.yaml:7: circuits.variants[2]: the variant all is listed twice",
    ],
    [
      "circuits of heads with SAEs",
      FULL.replace("circuits: {}", "circuits: { nodes: heads }"),
      "sweep.yaml:7: circuits.nodes: is for sweeps without SAEs",
    ],
    [
      "parts of errors in the truth without a fit",
      FULL.replace("errors: {}", "nodes: [{ kind: error_linear }]"),
      "sweep.yaml:6: truth.nodes[0].kind: error_linear is a part of an SAE's error, which only a `fit` splits",
    ],
    [
      "parts of errors in a configuration without a fit",
      `${FULL}experiments: [{ name: a, restore: { nodes: [blocks.1.attn.hook_z.hook_sae_error_nonlinear] } }]\n`,
      "sweep.yaml:8: experiments[0].restore.nodes[0]: blocks.1.attn.hook_z.hook_sae_error_nonlinear is a part",
    ],
    [
      "a part beside its whole",
      `${FULL}fit: { path: data/pairs.jsonl }
experiments:
  - name: a
    ablate: { nodes: [blocks.1.attn.hook_z.hook_sae_error] }
    restore: { nodes: [blocks.1.attn.hook_z.hook_sae_error_linear] }\n`,
      "sweep.yaml:12: experiments[0].restore.nodes[0]: blocks.1.attn.hook_z.hook_sae_error_linear is a part of blocks.1.attn.hook_z.hook_sae_error, which is named too",
    ],
    [
      "a fit without SAEs",
      `${FULL.replace("saes: { path: saes }\n", "").replace(/truth: .*\n/, "")}fit: { path: data/pairs.jsonl }\n`,
      "sweep.yaml:6: fit: a fit of SAE errors needs SAEs",
    ],
    [
      "a fit on a file that is not there",
      `${FULL}fit: { path: data/nothing.jsonl }\n`,
      `sweep.yaml:8: fit.path: ${TINY_A}/data/nothing.jsonl: `,
    ],
    [
      "a fit on prompts without twins",
      `${FULL}fit: { path: data/plain.jsonl }\n`,
      "sweep.yaml:8: fit.path: a plain dataset (prompt, true_answer, false_answer) has no corrupted prompts, which a fit needs",
    ],
    [
      "a penalty that is none",
      `${FULL}fit: { path: data/pairs.jsonl, ridge: 0 }\n`,
      "sweep.yaml:8: fit.ridge: expected number to be >0, got 0",
    ],
    [
      "parts at layers that the model lacks",
      `${FULL.replace("errors: {}", "nodes: [{ kind: error_linear, layers: [4] }]")}fit: { path: data/pairs.jsonl }\n`,
      "sweep.yaml:6: truth.nodes[0].layers: the model has layers 0 to 3, got 4",
    ],
    [
      "parts at a position that no prompt has",
      `${FULL.replace("errors: {}", "nodes: [{ kind: error_linear, at: 7 }]")}fit: { path: data/pairs.jsonl }\n`,
      "sweep.yaml:6: truth.nodes[0].at: the kept prompts have at most 7 tokens",
    ],
    [
      "parts where no SAE sits",
      `${FULL.replace("path: saes", "path: saes, layers: [1]").replace("errors: {}", "nodes: [{ kind: error_linear, layers: [0] }]")}fit: { path: data/pairs.jsonl }\n`,
      "sweep.yaml:6: truth.nodes[0]: has no error_linear node at these sites and layers",
    ],
    ["a model folder that is not there", FULL.replace("path: model", "path: nowhere"), "nowhere"],
    ["a width that no SAE has", FULL.replace("path: saes", "path: saes, width: 16k"), "16k"],
  ])("refuses %s, saying where and what to do", async (_what, text, message) => {
    const error = await fault(text);
    expect(error.code).toBe("bad_input");
    expect(error.message).toContain(message);
  });

  it("refuses resample where a length has one prompt only", async () => {
    const error = await fault(
      FULL.replace("circuits: {}", "circuits: { ablation: resample }").replace(
        "pairs.jsonl }",
        "pairs.jsonl, limit: 1 }",
      ),
    );
    expect(error.message).toContain("only one kept prompt has 7 tokens");
  });
});
