/**
 * @file What a forgotten case is: a type error at every place that has to be told of a new kind of node, site or ablation, and in the
 * file of a score method, model family or experiment that leaves something out. The sources are compiled in memory with one more name in each of the
 * unions and one line less in each of the records, and nothing else changed.
 */
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { beforeAll, describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
/** What is compiled. Coordinator, wire and the rest see plans and payloads as they are. */
const INCLUDE = [
  "nodes",
  "families",
  "weights",
  "hub",
  "prompts",
  "model",
  "plan",
  "passes",
  "methods",
  "artifacts",
  "cost",
  "report",
  "experiments",
  "engine",
];
const TIMEOUT_MS = 300_000;

/** Where each union is, and what is there before and after. */
const EDITS: Readonly<Record<string, readonly [file: string, before: string, after: string]>> = {
  toy_kind: [
    "src/nodes/kinds.ts",
    '"site", "head", "neuron"] as const',
    '"site", "head", "neuron", "toy_kind"] as const',
  ],
  toy_site: ["src/nodes/site.ts", '"resid_post"] as const;', '"resid_post", "toy_site", "toy_sae_site"] as const;'],
  toy_sae_site: ["src/nodes/site.ts", '"resid_post"] as const s', '"resid_post", "toy_sae_site"] as const s'],
  toy_ablation: ["src/nodes/intervention.ts", '"resample"] as const', '"resample", "toy_ablation"] as const'],
  lineSteps: ["src/methods/atp.ts", "  lineSteps: () => null,\n", ""],
  artifacts: ["src/experiments/noop/index.ts", ", artifacts: () => []", ""],
  toy_norm: ["src/families/family.ts", 'readonly kind: "rms";', 'readonly kind: "rms" | "toy_norm";'],
  toy_mlp: ["src/families/family.ts", 'readonly kind: "gated";', 'readonly kind: "gated" | "toy_mlp";'],
  toy_activation: [
    "src/families/family.ts",
    'Activation = "gelu_tanh";',
    'Activation = "gelu_tanh" | "toy_activation";',
  ],
  toy_positions: ["src/families/family.ts", "PositionRule =", 'PositionRule =\n  | { readonly kind: "toy_positions" }'],
  toy_tensor: [
    "src/families/family.ts",
    "StoredTensor =",
    'StoredTensor =\n  | { readonly kind: "toy_tensor"; readonly name: string; readonly shape: readonly [number] }',
  ],
  toy_part: [
    "src/families/family.ts",
    "readonly down_MD: Weight;",
    "readonly down_MD: Weight;\n  readonly toy_part: Weight;",
  ],
  toy_bos: ["src/families/family.ts", "BosRule =", 'BosRule =\n  | { readonly kind: "toy_bos" }'],
};

/** The text of each error, by file. */
let errors: ReadonlyMap<string, readonly string[]>;
beforeAll(() => {
  errors = typeErrors();
}, TIMEOUT_MS);

function typeErrors(): Map<string, string[]> {
  const { config } = ts.readConfigFile(join(ROOT, "tsconfig.json"), (path) => readFileSync(path, "utf8")) as {
    config: object;
  };
  const include = INCLUDE.map((part) => `src/${part}`);
  const { options, fileNames } = ts.parseJsonConfigFileContent({ ...config, include }, ts.sys, ROOT);
  const host = ts.createCompilerHost(options);
  const edited = new Map<string, string>();
  for (const [path, before, after] of Object.values(EDITS)) {
    const file = join(ROOT, path);
    edited.set(file, editedText(edited.get(file) ?? readFileSync(file, "utf8"), before, after));
  }
  const readSource = host.getSourceFile.bind(host);
  host.getSourceFile = (name, language, ...rest) => {
    const text = edited.get(name);
    return text === undefined ? readSource(name, language, ...rest) : ts.createSourceFile(name, text, language);
  };
  const program = ts.createProgram(fileNames, options, host);
  const texts = new Map<string, string[]>();
  for (const file of fileNames) {
    const found = program.getSemanticDiagnostics(program.getSourceFile(file));
    const messages = found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
    if (messages.length > 0) texts.set(relative(ROOT, file), messages);
  }
  return texts;
}

function editedText(text: string, before: string, after: string): string {
  expect(text.split(before), `${before} is once in its file`).toHaveLength(2);
  return text.replace(before, after);
}

/** Files with errors that name the case. */
const told = (name: string): string[] =>
  [...errors].flatMap(([file, texts]) => (texts.some((text) => text.includes(name)) ? [file] : [])).sort();

describe("a new case that nobody is told of is a type error", () => {
  it("of a kind of node, at the table and at what needs a sweep, tensors or prices: five files", () => {
    expect(told("toy_kind")).toEqual([
      "src/experiments/scores/scores.ts",
      "src/experiments/truth/truth-deltas.ts",
      "src/experiments/truth/work.ts",
      "src/nodes/kinds.ts",
      "src/plan/node-slots.ts",
    ]);
  });

  it("of a site, wherever sites differ, and of one where an SAE may sit, where SAEs and runs are told of it too", () => {
    const ofEverySite = [
      "src/experiments/truth/truth-rows.ts",
      "src/families/family.ts",
      "src/nodes/site.ts",
      "src/passes/integrated-gradients.ts",
    ];
    expect(told("toy_site")).toEqual(ofEverySite);
    const ofSaes = [
      "src/experiments/error-fit/error-fit.ts",
      "src/experiments/means/means.ts",
      "src/hub/fetch-weights.ts",
      "src/hub/published-saes.ts",
      "src/passes/capture.ts",
      "src/weights/gemma-scope-2.ts",
    ];
    expect(told("toy_sae_site")).toEqual([...ofEverySite, ...ofSaes].sort());
  });

  it("of an ablation, where its values come from", () => {
    expect(told("toy_ablation")).toEqual(["src/experiments/circuits/program.ts", "src/nodes/intervention.ts"]);
  });

  it("of a score method, in its own file, and of a kind of stage, in its experiment's", () => {
    expect(told("lineSteps")).toEqual(["src/methods/atp.ts"]);
    expect(told("artifacts")).toEqual(["src/experiments/noop/index.ts"]);
  });

  it("of a rule of model families, at its equation, and at its price where it has one", () => {
    expect(told("toy_norm")).toEqual(["src/model/norm.ts"]);
    expect(told("toy_mlp")).toEqual(["src/cost/layer-work.ts", "src/model/mlp.ts"]);
    expect(told("toy_activation")).toEqual(["src/model/mlp.ts"]);
    expect(told("toy_positions")).toEqual(["src/families/family.ts", "src/model/layer.ts"]);
    expect(told("toy_bos")).toEqual(["src/prompts/tokenizer.ts"]);
  });

  it("of a part of a layer or a kind of stored tensor, where it is named, loaded and converted", () => {
    expect(told("toy_part")).toEqual(["src/families/gemma2.ts", "src/weights/gguf-checkpoint.ts"]);
    expect(told("toy_tensor")).toEqual(["src/model/model.ts"]);
  });

  it("and nothing else is one", () => {
    const others = [...errors].flatMap(([file, texts]) => texts.map((text) => ({ file, text })));
    expect(others.filter(({ text }) => !Object.keys(EDITS).some((name) => text.includes(name)))).toEqual([]);
  });
});
