import { describe, expect, it } from "vitest";
import { powerOf } from "../../../src/base/elementary-functions.js";
import { PatchbayError } from "../../../src/base/errors.js";
import { readSweep } from "../../../src/sweep/read-sweep.js";
import { REGISTER } from "../../../src/experiments/registry.js";
import { circuitsSpecOf } from "../../../src/experiments/circuits/spec.js";
import { nodeListOf } from "../../../src/plan/node-list.js";

const MINIMAL = `name: small
model: { path: model }
dataset: { path: pairs.jsonl }
scores: [{ name: atp, method: atp }]
`;

function fault(text: string): PatchbayError {
  try {
    readSweep(REGISTER.experiments, { text, file: "sweep.yaml" });
  } catch (error) {
    if (error instanceof PatchbayError) return error;
    throw error;
  }
  throw new Error("the sweep was accepted");
}

describe("the faults of a sweep", () => {
  it("are found in one round, each at its line, and what is not built among them", () => {
    const text = `${MINIMAL.replace("name: small\n", "")}colour: red\nseed: often\ncirquits: {}\nexperiments: [preset]\n`;
    const { code, message, others } = fault(text);
    expect(code).toBe("not_built");
    expect([message, ...others.map((other) => other.message)]).toEqual([
      "sweep.yaml:7: experiments[0]: presets are not built yet; write the configuration out (name, ablate, restore)",
      "sweep.yaml:1: name: expected string, got nothing: the field is missing",
      'sweep.yaml:5: seed: expected number, got "often"',
      "sweep.yaml:4: colour: unknown field; `patchbay schema` prints the fields that exist",
      "sweep.yaml:6: cirquits: unknown field; did you mean circuits? `patchbay schema` prints the fields that exist",
    ]);
  });
});

describe("readSweep", () => {
  it("fills in the defaults of the contract", () => {
    const { sweep } = readSweep(REGISTER.experiments, {
      text: `${MINIMAL}truth: { features: {} }\ncircuits: {}\n`,
      file: "sweep.yaml",
    });
    expect(sweep).toMatchObject({
      saes: "none",
      metric: { reduce: "max" },
      dtype: "float32",
      engine: { threads: "auto", block_mib: "auto" },
      means: false,
      seed: 0,
      experiments: [],
      truth: { positions: ["all"], features: { top: 50, random: 50, by: "atp" } },
      circuits: {
        scores: "atp",
        thresholds: Array.from({ length: 20 }, (_, i) => powerOf(10, -4 + (4 * i) / 19)),
        keep: "absolute",
        ablation: "mean",
        exempt_early_layers: false,
        variants: ["all"],
        completeness: true,
      },
    });
    const withSaes = readSweep(REGISTER.experiments, {
      text: `${MINIMAL}saes: { path: saes }\ncircuits: {}\n`,
      file: "sweep.yaml",
    }).sweep;
    expect(circuitsSpecOf(withSaes)?.variants).toEqual(["all", "no_resid_errors", "no_mlp_attn_errors"]);
  });

  it("reads JSON as well as YAML", () => {
    const json = JSON.stringify({ name: "a", model: { path: "m" }, dataset: { path: "d" }, means: true });
    expect(readSweep(REGISTER.experiments, { text: json, file: "sweep.json" }).sweep["means"]).toBe(true);
  });

  it("takes a single position without a list", () => {
    const { sweep } = readSweep(REGISTER.experiments, {
      text: `${MINIMAL}truth: { positions: -1, errors: {} }\n`,
      file: "sweep.yaml",
    });
    expect(nodeListOf(sweep)?.positions).toEqual([-1]);
  });

  it("takes a model and SAEs by name, at a revision or at main", () => {
    const hub = "saes: { hub: gemma-scope-2b-pt, width: 16k, l0: canonical, layers: [4, 12], revision: v2 }\n";
    const text = MINIMAL.replace("path: model", "hub: google/gemma-2-2b") + hub;
    const { sweep } = readSweep(REGISTER.experiments, { text, file: "sweep.yaml" });
    expect(sweep.model).toEqual({ hub: "google/gemma-2-2b", revision: "main" });
    expect(sweep.saes).toEqual({
      hub: "gemma-scope-2b-pt",
      revision: "v2",
      width: "16k",
      l0: "canonical",
      layers: [4, 12],
    });
  });

  it.each([
    [
      "a model both in a folder and by name",
      MINIMAL.replace("path: model", "path: m, hub: a/b"),
      "sweep.yaml:2: model.",
    ],
    ["a name that is no text", MINIMAL.replace("path: model", "hub: 3"), "sweep.yaml:2: model.hub"],
    ["a misspelt revision", MINIMAL.replace("path: model", "hub: a/b, revison: c"), "sweep.yaml:2: model.revison"],
    ["an unknown field", `${MINIMAL}treshold: 3\n`, "sweep.yaml:5: treshold: unknown field"],
    ["a misspelt field", `${MINIMAL}circiuts: {}\n`, "sweep.yaml:5: circiuts: unknown field; did you mean circuits?"],
    [
      "a field of something else",
      MINIMAL.replace("method: atp", "method: atp, steps: 3"),
      "sweep.yaml:4: scores[0].steps: is not a field here",
    ],
    [
      "a name that is no site",
      `${MINIMAL}saes: { path: s, l0: { mlp: 7 } }\n`,
      'sweep.yaml:5: saes.l0.mlp: expected a site or a site\'s hook, such as blocks.3.hook_mlp_out, got "mlp"',
    ],
    [
      "a word where a choice of kinds stands",
      `${MINIMAL}truth: { positions: last one, errors: {} }\n`,
      "truth.positions: expected a number, `all`, or the name of a span of the rows: a letter",
    ],
    [
      "an exponent whose power is no finite number",
      `${MINIMAL}circuits: { thresholds: { log10: [-4, 400], count: 3 } }\n`,
      "sweep.yaml:5: circuits.thresholds.log10[1]: expected number to be <=300, got 400",
    ],
    [
      "a YAML name that stands for nothing",
      `${MINIMAL}truth: *nothing\n`,
      "sweep.yaml:5: not valid YAML: Unresolved alias",
    ],
    [
      "YAML names that stand for too much",
      `${MINIMAL}a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c]\n`,
      "sweep.yaml: not valid YAML: Excessive alias count",
    ],
    ["an unknown nested field", `${MINIMAL}circuits:\n  kep: signed\n`, "sweep.yaml:6: circuits.kep: unknown field"],
    ["a wrong type", `${MINIMAL}seed: many\n`, 'sweep.yaml:5: seed: expected number, got "many"'],
    [
      "a missing field",
      "name: a\ndataset: { path: d }\nmeans: true\n",
      "model: expected object, got nothing: the field is missing",
    ],
    ["a wrong method", MINIMAL.replace("method: atp", "method: magic"), "sweep.yaml:4: scores[0].method"],
    [
      "a threshold that is no number",
      `${MINIMAL}circuits: { thresholds: [1, .inf] }\n`,
      "sweep.yaml:5: circuits.thresholds[1]",
    ],
    [
      "no position of an experiment's nodes",
      `${MINIMAL}experiments: [{ name: x, ablate: { nodes: [a], positions: [] } }]\n`,
      "sweep.yaml:5: experiments[0].ablate.positions: names no position",
    ],
    ["broken YAML", "name: [a\n", "sweep.yaml:"],
    ["a repeated key", `${MINIMAL}seed: 1\nseed: 2\n`, "sweep.yaml:6: not valid YAML: Map keys must be unique"],
    ["a sweep that asks for nothing", "name: a\nmodel: { path: m }\ndataset: { path: d }\n", "at least one of"],
  ])("refuses %s with file, line and field", (_what, text, message) => {
    const error = fault(text);
    expect(error.code).toBe("bad_input");
    expect(error.message).toContain(message);
  });

  it.each([["experiments: [{ preset: heatmap }]", "sweep.yaml:5: experiments[0]: presets are not built yet"]])(
    "refuses %s with a sentence that says it is not built",
    (line, message) => {
      const error = fault(`${MINIMAL}${line}\n`);
      expect(error.code).toBe("not_built");
      expect(error.message).toContain(message);
    },
  );
});
