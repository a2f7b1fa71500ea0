/**
 * @file Where an evaluation first changes anything. Layers before it, and positions before it in every layer, are those of the
 * unablated run: attention looks back only. Pure: no tensors.
 */
import { must } from "../../base/assert.js";
import { ABLATED, type Intervention, RESTORED, stateArrays } from "../../nodes/intervention.js";
import { parseNodeHook } from "../../nodes/node.js";
import { circuitBlocks, type Segment } from "./circuit-rows.js";

/** Everything at a layer below `layer`, or at a position below `position`, is as in the unablated run. */
export interface FirstChange {
  readonly layer: number;
  readonly position: number;
}

/** Where prompts of `positions` tokens are changed first; an evaluation that changes nothing has all layers and positions but the last unchanged. */
export function firstChange(
  intervention: Intervention,
  { nLayers, positions }: { readonly nLayers: number; readonly positions: number },
): FirstChange {
  let [layer, position] = [nLayers, positions - 1];
  for (const [hook, site] of intervention) {
    layer = Math.min(layer, must(parseNodeHook(hook), hook).layer);
    for (const states of stateArrays(site)) position = Math.min(position, firstPosition(states, positions));
  }
  return { layer, position };
}

/** The first position with a node that is not live; infinite where there is none. */
function firstPosition(states: Uint8Array, positions: number): number {
  const found = [ABLATED, RESTORED].map((state) => states.indexOf(state)).filter((index) => index >= 0);
  return found.length === 0 ? Infinity : Math.floor(Math.min(...found) / (states.length / positions));
}

/** What is unchanged in all of them. */
export function earliest(changes: readonly FirstChange[]): FirstChange {
  return {
    layer: Math.min(...changes.map(({ layer }) => layer)),
    position: Math.min(...changes.map(({ position }) => position)),
  };
}

/** What is run. */
export interface RunSize {
  readonly nLayers: number;
  readonly positions: number;
  /** Rows of each evaluation. */
  readonly runs: readonly number[];
  /** Rows of an evaluation that is run for every prompt and side: those of an unablated run. */
  readonly rows: number;
}

/** Whether an unablated run spares more than it takes, counted in rows x layers x positions. */
export function sparesRun(changes: readonly FirstChange[], { nLayers, positions, runs, rows }: RunSize): boolean {
  const spared = changes.map(
    ({ layer, position }, e) =>
      must(runs[e], "rows") * (nLayers * positions - (nLayers - layer) * (positions - position)),
  );
  return spared.reduce((sum, one) => sum + one, 0) > rows * nLayers * positions;
}

/**
 * Cuts evaluations into blocks of at most `rowsPerBlock` rows as {@link circuitBlocks} does, in the order in which neighbours have most
 * in common: by first changed position, then layer, then as they were.
 */
export function orderedBlocks(
  changes: readonly FirstChange[],
  runs: readonly number[],
  rowsPerBlock: number,
): Segment[][] {
  const at = (e: number): FirstChange => must(changes[e], "change");
  const order = [...changes.keys()].sort(
    (a, b) => at(a).position - at(b).position || at(a).layer - at(b).layer || a - b,
  );
  const rows = order.map((e) => must(runs[e], "rows"));
  return circuitBlocks(rows, rowsPerBlock).map((segments) =>
    segments.map((segment) => ({ ...segment, evaluation: must(order[segment.evaluation], "evaluation") })),
  );
}
