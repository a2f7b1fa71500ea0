/** @file Which position each token of a side adds to, and by how much: a span's tokens share its weight alike. */
import { must } from "../../base/assert.js";
import type { Prompt, Side } from "../../nodes/prompt.js";
import { positionCount, tokenPositions } from "../../nodes/span.js";

/** Where the tokens of one side of a block stand. */
export interface TokenPlaces {
  /** Tokens of each prompt. */
  readonly T: number;
  /** How many positions the prompts have. */
  readonly positions: number;
  /** The position of each token, below 0 outside every span, `[T]`. */
  readonly positionOf: Int32Array;
  /** Its share of the position's weight, `[T]`: 1 where tokens are positions. */
  readonly shareOf: Float64Array;
}

/** Those of prompts whose tokens have the same positions. */
export function tokenPlaces(prompts: readonly Prompt[], side: Side): TokenPlaces {
  const first = must(prompts[0], "prompt");
  const positionOf = tokenPositions(first, side);
  const positions = positionCount(first);
  const counts = new Float64Array(positions);
  for (const position of positionOf) if (position >= 0) counts[position] = must(counts[position], "count") + 1;
  const shareOf = Float64Array.from(positionOf, (position) => (position < 0 ? 0 : 1 / must(counts[position], "count")));
  return { T: positionOf.length, positions, positionOf, shareOf };
}
