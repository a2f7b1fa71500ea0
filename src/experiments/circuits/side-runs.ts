/**
 * @file What a block of circuit rows runs at once: both sides of its prompts, or, where prompts have spans, each side by itself, because its
 * tokens are others. Nodes are those of spans; a span's state and its means hold for each of its tokens, and what stands in no span is live.
 */
import type { Means } from "../../artifacts/means-file.js";
import { must } from "../../base/assert.js";
import { type Intervention, LIVE, type SiteIntervention } from "../../nodes/intervention.js";
import { type Prompt, type Side, SIDES } from "../../nodes/prompt.js";
import { positionCount, tokenPositions, valuesByToken } from "../../nodes/span.js";
import type { AblationValues } from "./circuits.js";

/** Prompts that run at once. */
export interface SideRun {
  readonly prompts: readonly Prompt[];
  /** The side that all of them are; absent where both run at once. */
  readonly side?: Side;
  /** Tokens of each. */
  readonly tokens: number;
  /** An intervention on positions as one on tokens. */
  readonly interventionByToken: (intervention: Intervention) => Intervention;
  /** Values of positions as those of tokens. */
  readonly valuesByToken: (values: AblationValues) => AblationValues;
}

/** The runs of a block's prompts, whose tokens have the same positions: their rows stand one after the other. */
export function sideRuns(prompts: readonly Prompt[]): SideRun[] {
  const first = must(prompts[0], "prompt");
  if (first.spans === undefined) {
    const asTheyAre = { interventionByToken: (one: Intervention) => one, valuesByToken: (one: AblationValues) => one };
    return [{ prompts, tokens: first.clean.length, ...asTheyAre }];
  }
  return SIDES.map((side) => {
    const positionOf = tokenPositions(first, side);
    const alone = prompts.map((prompt): Prompt => {
      const { spans: _spans, ...whole } = prompt;
      return { ...whole, clean: must(prompt[side] ?? undefined, side), corrupted: null };
    });
    return {
      prompts: alone,
      side,
      tokens: positionOf.length,
      interventionByToken: (one) => interventionByToken(one, positionCount(first), positionOf),
      valuesByToken: (values) =>
        values.kind === "mean"
          ? { kind: values.kind, means: meansByToken(values.means, positionCount(first), positionOf) }
          : values,
    };
  });
}

function interventionByToken(intervention: Intervention, positions: number, positionOf: Int32Array): Intervention {
  const spread = (states: Uint8Array): Uint8Array => {
    const width = states.length / positions;
    const byToken = new Uint8Array(positionOf.length * width).fill(LIVE);
    positionOf.forEach((position, t) => {
      if (position >= 0) byToken.set(states.subarray(position * width, (position + 1) * width), t * width);
    });
    return byToken;
  };
  return new Map(
    Array.from(intervention, ([hook, { features, errors, slices, linear, nonlinear }]): [string, SiteIntervention] => [
      hook,
      {
        features: spread(features),
        errors: spread(errors),
        slices: spread(slices),
        ...(linear === undefined ? {} : { linear: spread(linear) }),
        ...(nonlinear === undefined ? {} : { nonlinear: spread(nonlinear) }),
      },
    ]),
  );
}

function meansByToken({ features, errors, sites }: Means, positions: number, positionOf: Int32Array): Means {
  const spread = (means: ReadonlyMap<string, Float32Array>): Map<string, Float32Array> =>
    new Map(
      Array.from(means, ([hook, values]) => [hook, valuesByToken(values, positionOf, values.length / positions)]),
    );
  return { features: spread(features), errors: spread(errors), sites: spread(sites) };
}
