/**
 * @file Effects and scores of all nodes on all prompts, on disk: read by ranges of nodes with all prompts, or by stretches of prompts with
 * all nodes. Prompts stand in the order in which records brought them; whoever reads gets the order of the plan, or the prompts' numbers.
 */
import { join } from "node:path";
import { must } from "../../base/assert.js";
import { asBytes, asFloats, type DiskMatrix, type MatrixShape, openMatrix } from "../../artifacts/disk-matrix.js";
import { NODES_PER_GROUP, nodesPerGroup } from "./truth-row-groups.js";
import type { ListedNode } from "./node-table.js";
import type { TruthTable } from "./truth-table.js";

/** What a range of nodes may take with all of its prompts. It bounds what a thread holds, and must not depend on the number of threads. */
export const RANGE_BYTES = 16 * 2 ** 20;
/** Prompts that are read at once to bring a range into the plan's order. */
const PROMPTS_AT_ONCE = 1024;
/** The prompt has the node, and its truth was recorded. */
export const PRESENT = 1;
/** A forward pass gave the patched metric. */
export const RAN = 2;

/** A store's files and all that it says of prompts and nodes. A structured clone of it opens the store in another thread. */
export interface StoreShape {
  readonly nodes: readonly ListedNode[];
  readonly prompts: number;
  /** Metric of the unpatched runs, `[P]`; NaN where no record has it. */
  readonly metricClean: Float64Array;
  readonly metricCorrupted: Float64Array;
  /** The stored row of each prompt, `[P]`. */
  readonly rowOf: Int32Array;
  /** 1 for prompts that lack a score, `[P]`: they must not count as prompts with a score of 0. */
  readonly hidden: Uint8Array;
  readonly patched: MatrixShape;
  readonly flags: MatrixShape;
  readonly scores: readonly (readonly [name: string, matrix: MatrixShape])[];
}

/** Nodes of a range: as many as {@link RANGE_BYTES} hold, in whole row groups of `truth.parquet`. */
export function nodesPerRange(prompts: number, scores: number, bytes = RANGE_BYTES): number {
  const fitting = Math.floor(bytes / Math.max(1, prompts * (8 * (1 + scores) + 1)));
  const group = Math.min(NODES_PER_GROUP, nodesPerGroup(prompts));
  return Math.max(group, fitting - (fitting % group));
}

/** Files of a store that has no records yet. */
export function emptyStore(
  folder: string,
  nodes: readonly ListedNode[],
  { prompts, scores, width }: { readonly prompts: number; readonly scores: readonly string[]; readonly width: number },
): StoreShape {
  const shape = (name: string, type: MatrixShape["type"]): MatrixShape => ({
    path: join(folder, name),
    rows: prompts,
    columns: nodes.length,
    width,
    type,
  });
  return {
    nodes,
    prompts,
    metricClean: new Float64Array(prompts).fill(Number.NaN),
    metricCorrupted: new Float64Array(prompts).fill(Number.NaN),
    rowOf: new Int32Array(prompts).fill(-1),
    hidden: new Uint8Array(prompts),
    patched: shape("patched", "float64"),
    flags: shape("flags", "uint8"),
    scores: scores.map((name, s) => [name, shape(`score-${String(s)}`, "float64")]),
  };
}

/** An open store. Owner: whoever opened it, through `close`. */
export interface TruthStore {
  /** Nodes of a range with all prompts. */
  range(range: number): TruthTable;
  /** Prompts of stored rows that follow one another with all nodes, and the prompts' numbers. */
  rows(first: number, count: number): { readonly table: TruthTable; readonly prompts: Int32Array };
  close(): void;
}

/** Opens a store. */
export function openStore(shape: StoreShape): TruthStore {
  const { nodes, prompts, metricClean, metricCorrupted, rowOf, hidden } = shape;
  const promptOf = new Int32Array(prompts);
  rowOf.forEach((row, prompt) => (promptOf[row] = prompt));
  const open = [shape.patched, shape.flags, ...shape.scores.map(([, matrix]) => matrix)].map((matrix) =>
    openMatrix(matrix),
  );
  const [patched, flags, ...scores] = open as [DiskMatrix, DiskMatrix, ...DiskMatrix[]];
  const tableOf = (own: readonly ListedNode[], cells: Cells, of: Int32Array | null): TruthTable => {
    const at = (values: Float64Array): Float64Array =>
      of === null ? values : Float64Array.from(of, (prompt) => must(values[prompt], "metric"));
    return {
      nodes: own,
      prompts: of?.length ?? prompts,
      metricClean: at(metricClean),
      metricCorrupted: at(metricCorrupted),
      metricPatched: cells.patched,
      ...flagsOf(cells.flags, own.length, (row) => hidden[of === null ? row : (of[row] as number)] === 1),
      scores: new Map(shape.scores.map(([name], s) => [name, must(cells.scores[s], name)])),
    };
  };
  return {
    range: (range) => {
      const { width } = shape.patched;
      const own = nodes.slice(range * width, (range + 1) * width);
      const inOrder = (matrix: DiskMatrix): Float64Array | Uint8Array => rangeInOrder(matrix, range, promptOf);
      return tableOf(
        own,
        {
          patched: asFloats(inOrder(patched)),
          flags: asBytes(inOrder(flags)),
          scores: scores.map((matrix) => asFloats(inOrder(matrix))),
        },
        null,
      );
    },
    rows: (first, count) => {
      const of = promptOf.subarray(first, first + count);
      const cells = {
        patched: asFloats(patched.readRows(first, count)),
        flags: asBytes(flags.readRows(first, count)),
        scores: scores.map((matrix) => asFloats(matrix.readRows(first, count))),
      };
      return { table: tableOf(nodes, cells, of), prompts: of };
    },
    close: () => {
      for (const matrix of open) matrix.close();
    },
  };
}

interface Cells {
  readonly patched: Float64Array;
  readonly flags: Uint8Array;
  readonly scores: readonly Float64Array[];
}

function flagsOf(
  flags: Uint8Array,
  width: number,
  isHidden: (row: number) => boolean,
): Pick<TruthTable, "present" | "ran"> {
  const [present, ran] = [new Uint8Array(flags.length), new Uint8Array(flags.length)];
  for (let row = 0, at = 0; at < flags.length; row++) {
    const mask = isHidden(row) ? 0 : 1;
    for (let n = 0; n < width; n++, at++) {
      present[at] = (flags[at] as number) & PRESENT & mask;
      ran[at] = (flags[at] as number) >> 1;
    }
  }
  return { present, ran };
}

/** A range of columns with its rows in the order of prompts. */
function rangeInOrder(matrix: DiskMatrix, range: number, promptOf: Int32Array): Float64Array | Uint8Array {
  const width = Math.min(matrix.width, matrix.columns - range * matrix.width);
  const all = matrix.type === "float64" ? new Float64Array(matrix.rows * width) : new Uint8Array(matrix.rows * width);
  for (let first = 0; first < matrix.rows; first += PROMPTS_AT_ONCE) {
    const count = Math.min(PROMPTS_AT_ONCE, matrix.rows - first);
    const part = matrix.readRange(range, first, count);
    for (let row = 0; row < count; row++)
      all.set(part.subarray(row * width, (row + 1) * width), (promptOf[first + row] as number) * width);
  }
  return all;
}
