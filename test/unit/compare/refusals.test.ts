/** @file Which runs may be compared, and what a refusal says. */
import { describe, expect, test } from "vitest";
import { expectComparison } from "../../../src/compare/comparison.js";
import type { ScorePair } from "../../../src/compare/paired-sides.js";
import { expectComparable, parseAllowed, type Allowable } from "../../../src/compare/refusals.js";
import { PatchbayError } from "../../../src/base/errors.js";
import { NODE_LIST, PROMPTS, promptOf, runOf, type RunParts } from "./two-tables.js";

const prompts = Array.from({ length: PROMPTS }, (_, line) => promptOf(line));

/** What is said of a second run that differs from the first in these parts. */
function faultsOf(parts: RunParts, allowed: readonly Allowable[] = []): string[] {
  try {
    expectComparable(runOf(), runOf({ folder: "runs/b", ...parts }), new Set(allowed));
    return [];
  } catch (thrown) {
    if (!(thrown instanceof PatchbayError)) throw thrown;
    expect(thrown.code).toBe("bad_input");
    return [thrown, ...thrown.others].map(({ message }) => message);
  }
}

describe("two runs are refused", () => {
  const always = "runs are compared on the same prompts of the same model only";

  test("never where only what they were asked for differs", () => {
    expect(faultsOf({})).toEqual([]);
    const asked = { scores: [{ name: "atp", method: "ig", steps: 7 }], seed: 9, circuits: { ablation: "zero" } };
    expect(faultsOf({ sweep: asked, fingerprints: { dataset: "another file" } })).toEqual([]);
  });

  test("where they are one folder, however it is written", () => {
    const options = { estimators: null, allowed: new Set<Allowable>() };
    expect(() => {
      expectComparison(runOf(), runOf({ folder: "./runs/a/" }), options);
    }).toThrow("./runs/a/: expected a run other than runs/a, got the same folder; name it alone");
  });

  test("where nothing is paired, without the promise that --allow helps", () => {
    const parts = { prompts: prompts.slice(1), nodes: NODE_LIST.slice(2) };
    expect(faultsOf(parts)[1]).toBe(
      "runs/b: nodes: expected 15 SAE errors at mlp_out, as in runs/a, got 13 SAE errors at mlp_out; --allow nodes lets them differ, once model and prompts are the same",
    );
  });

  test("at a prompt that is shown where it is another", () => {
    const long = prompts.map((prompt) => ({ ...prompt, clean: [...Array<number>(99).fill(7), ...prompt.clean] }));
    const [fault] = faultsOf({ prompts: long }).filter((text) => text.includes("prompts"));
    expect(fault).toContain("expected prompt 0 to be [[2,5,0],");
    const other = long.map((prompt) => ({ ...prompt, correct: 99 }));
    expect(() => {
      expectComparable(runOf({ prompts: long }), runOf({ folder: "runs/b", prompts: other }), new Set());
    }).toThrow(/to be ….*,10,\[11\]\] \(line 0\), as in runs\/a, got prompt 0 to be ….*,99,\[11\]\] \(line 0\)/);
  });

  test("where the model or the metric differs, whatever is allowed", () => {
    const parts = { fingerprints: { model: "model 2" }, sweep: { metric: { reduce: "sum" } } };
    expect(faultsOf(parts, ["code", "saes", "nodes"])).toEqual([
      `runs/b: model: expected model 1, as in runs/a, got model 2; ${always}`,
      `runs/b: metric: expected max, as in runs/a, got sum; ${always}`,
    ]);
  });

  test("where nodes take their values from another donor, whatever is allowed", () => {
    const sweepOf = (donor: string): { sweep: object } => ({ sweep: { truth: { errors: {}, donor } } });
    expect(() => {
      const [one, other] = [sweepOf("corrupted"), sweepOf("zero")] as [RunParts, RunParts];
      expectComparable(runOf(one), runOf({ folder: "runs/b", ...other }), new Set(["code"]));
    }).toThrow(`runs/b: truth.donor: expected corrupted, as in runs/a, got zero; ${always}`);
  });

  test("where a prompt is missing, or is another one, and not where it only stands on another line", () => {
    expect(faultsOf({ prompts: prompts.slice(1) })).toEqual([
      `runs/b: prompts: expected 24 prompts, as in runs/a, got 23 prompts; ${always}`,
    ]);
    const other = prompts.map((prompt, p) => (p === 7 ? { ...prompt, correct: 99, line: 70 } : prompt));
    expect(faultsOf({ prompts: other })).toEqual([
      `runs/b: prompts: expected prompt 7 to be [[2,5,7],[2,6,7],10,[11]] (line 7), as in runs/a, got prompt 7 to be [[2,5,7],[2,6,7],99,[11]] (line 70); ${always}`,
    ]);
    expect(faultsOf({ prompts: prompts.map((prompt) => ({ ...prompt, line: prompt.line + 5 })) })).toEqual([]);
    const [fault] = faultsOf({ prompts: [...prompts].reverse() });
    expect(fault).toContain(
      "got prompt 0 to be [[2,5,23],[2,6,23],10,[11]] (line 23): the same prompts in another order;",
    );
  });

  test("where prompts are in other clusters, and not where clusters only have other names", () => {
    const renamed = prompts.map((prompt) => ({ ...prompt, cluster: `my ${prompt.cluster ?? ""}` }));
    expect(faultsOf({ prompts: renamed })).toEqual([]);
    const moved = prompts.map((prompt, p) => (p === 9 ? { ...prompt, cluster: "cluster 2" } : prompt));
    expect(faultsOf({ prompts: moved })).toEqual([
      `runs/b: clusters: expected prompt 9 in the cluster cluster 1, as in runs/a, got prompt 9 in the cluster cluster 2; ${always}`,
    ]);
    expect(faultsOf({ prompts: prompts.map(({ cluster: _, ...prompt }) => prompt) })).toEqual([
      `runs/b: clusters: expected 8 clusters, as in runs/a, got 24 clusters; ${always}`,
    ]);
  });

  test("where SAEs or environment differ, all of them named, unless they are allowed", () => {
    const fingerprints = { saes: null, dtype: "bfloat16", backend: "torch", threads: 4, code: "code 2" };
    expect(faultsOf({ fingerprints })).toEqual([
      "runs/b: saes: expected saes 1, as in runs/a, got none; --allow saes compares them all the same",
      "runs/b: dtype: expected float32, as in runs/a, got bfloat16; --allow dtype compares them all the same",
      "runs/b: backend: expected wasm, as in runs/a, got torch; --allow backend compares them all the same",
      "runs/b: threads: expected 1, as in runs/a, got 4; --allow threads compares them all the same",
      "runs/b: code: expected code 1, as in runs/a, got code 2; --allow code compares them all the same",
    ]);
    expect(faultsOf({ fingerprints }, ["saes", "dtype", "backend", "threads", "code"])).toEqual([]);
  });

  test("where other nodes were measured, or the same with another chance, unless it is allowed", () => {
    expect(faultsOf({ nodes: NODE_LIST.slice(2) })).toEqual([
      "runs/b: nodes: expected 15 SAE errors at mlp_out, as in runs/a, got 13 SAE errors at mlp_out; --allow nodes compares them all the same",
    ]);
    const rarer = NODE_LIST.map((node, n) => (n === 3 ? { ...node, inclusionProbability: 0.5 } : node));
    expect(faultsOf({ nodes: rarer })[0]).toContain("drawn with probability 1), as in runs/a, got the node");
    expect(faultsOf({ nodes: rarer }, ["nodes"])).toEqual([]);
  });

  test("where they have nothing in common", () => {
    const elsewhere = NODE_LIST.map((node) => ({ ...node, site: "resid_post" as const }));
    const options = { estimators: null, allowed: new Set<Allowable>() };
    expect(() => {
      expectComparison(runOf(), runOf({ folder: "runs/b", nodes: elsewhere }), options);
    }).toThrow(
      "runs/b: expected true effects of the same kind at the same site, or circuits, in both runs, found none",
    );
  });
});

describe("estimators", () => {
  const named = (...names: string[]): RunParts => ({
    sweep: { scores: names.map((name) => ({ name, method: name })) },
  });
  const check = (parts: readonly RunParts[], estimators: ScorePair | null) => {
    const [a = runOf(), b = a] = parts.map(runOf);
    return () => {
      expectComparison(a, b, { estimators, allowed: new Set() });
    };
  };

  test("of one run are two at least", () => {
    expect(check([named("atp", "ig")], null)).not.toThrow();
    expect(check([named("atp")], null)).toThrow(
      "runs/a: expected two scores to compare, the run has one (atp); name another run",
    );
  });

  test("of two runs have a name in common, or are named", () => {
    const parts = [named("atp"), { ...named("relp"), folder: "runs/b" }];
    expect(check(parts, null)).toThrow(
      "runs/b: scores: expected scores of one name in both runs, found atp in runs/a and relp here; name one of each: --estimators atp,relp",
    );
    expect(check(parts, ["atp", "relp"])).not.toThrow();
    expect(check(parts, ["relp", "atp"])).toThrow("--estimators: expected a score of runs/a (atp), got relp");
  });

  test("of one run are two, and of runs without effects in common none", () => {
    expect(check([named("atp", "ig")], ["ig", "ig"])).toThrow(
      "--estimators: expected two scores of one run (atp, ig), got ig twice",
    );
    const parts = [named("atp"), { folder: "runs/b", nodes: [] }];
    expect(check(parts, ["atp", "atp"])).toThrow("runs/b: --estimators: expected true effects of the same kind");
  });
});

test("what may differ is read from names, and what pairs runs cannot be allowed", () => {
  expect([...parseAllowed("saes, code")]).toEqual(["saes", "code"]);
  expect(() => parseAllowed("prompts")).toThrow("without the same prompts nothing is paired");
  expect(() => parseAllowed("weather")).toThrow(
    "--allow: expected some of select, saes, fit, dtype, backend, device, threads, code, tfjs, nodes; got weather",
  );
});
