/** @file Tables of effects and scores of nodes whose agreement is known, and runs that have them. */
import { resolve } from "node:path";
import { createRng } from "../../../src/base/rng.js";
import type { ComparedRun } from "../../../src/compare/compared-run.js";
import type { PairedContext } from "../../../src/compare/paired-sides.js";
import type { ListedNode } from "../../../src/experiments/truth/node-table.js";
import type { TruthTable } from "../../../src/experiments/truth/truth-table.js";
import type { Prompt } from "../../../src/nodes/prompt.js";
import { clustersOf } from "../../../src/stats/clusters.js";

/** Prompts, and nodes of each run. */
export const [PROMPTS, NODES] = [24, 15];

/** Error nodes of one site at two positions. */
export const NODE_LIST: readonly ListedNode[] = Array.from({ length: NODES }, (_, slot) => ({
  kind: "error",
  site: "mlp_out",
  layer: slot >> 1,
  position: 2 + (slot % 2),
  stratum: "all",
  inclusionProbability: 1,
  slot,
}));

/** What all of them are compared in: three prompts of each cluster. */
export const CONTEXT: PairedContext = {
  clusters: clustersOf(Array.from({ length: PROMPTS }, (_, p) => `cluster ${String(p % 8)}`)),
  first: 1,
  seed: 3,
  resamples: 200,
};

/** Effects that differ by node and prompt, and scores made of them. */
export function tableOf(
  scores: Readonly<Record<string, (effect: number, n: number, p: number) => number>>,
  nodes: readonly ListedNode[] = NODE_LIST,
): TruthTable {
  const rng = createRng(5, "effects");
  const effects = Float64Array.from(
    { length: PROMPTS * nodes.length },
    (_, i) => ((i % nodes.length) - 6.5) / 4 + 0.3 * rng.normal(),
  );
  return {
    nodes,
    prompts: PROMPTS,
    metricClean: new Float64Array(PROMPTS),
    metricCorrupted: new Float64Array(PROMPTS).fill(4),
    metricPatched: effects,
    present: new Uint8Array(effects.length).fill(1),
    ran: new Uint8Array(effects.length).fill(1),
    scores: new Map(
      Object.entries(scores).map(([name, score]) => [
        name,
        effects.map((effect, i) => score(effect, i % nodes.length, Math.floor(i / nodes.length))),
      ]),
    ),
  };
}

/** A prompt of a cluster. */
export function promptOf(line: number, more: Partial<Prompt> = {}): Prompt {
  const tokens = { clean: [2, 5, line], corrupted: [2, 6, line], correct: 10, incorrect: [11] };
  return { line, ...tokens, cluster: `cluster ${String(line % 8)}`, ...more };
}

/** What a test changes of a run. */
export interface RunParts {
  readonly folder?: string;
  readonly fingerprints?: Readonly<Record<string, string | number | null>>;
  readonly sweep?: Readonly<Record<string, unknown>>;
  readonly prompts?: readonly Prompt[];
  readonly nodes?: readonly ListedNode[];
}

/** A run with these parts; whatever else is read of it fails loudly. */
export function runOf({
  folder = "runs/a",
  fingerprints,
  sweep,
  prompts,
  nodes = NODE_LIST,
}: RunParts = {}): ComparedRun {
  const recorded = {
    model: "model 1",
    saes: "saes 1",
    dataset: "dataset 1",
    code: "code 1",
    backend: "wasm",
    device: "cpu",
    threads: 1,
    dtype: "float32",
    tfjs: "tfjs 1",
    ...fingerprints,
  };
  return {
    folder,
    path: resolve(folder),
    nodes,
    hasCircuits: false,
    file: { name: folder, fingerprints: recorded },
    plan: {
      prompts: prompts ?? Array.from({ length: PROMPTS }, (_, line) => promptOf(line)),
      fingerprints: recorded,
      sweep: { name: folder, metric: { reduce: "max" }, scores: [{ name: "atp", method: "atp" }], seed: 0, ...sweep },
    },
  } as unknown as ComparedRun;
}
