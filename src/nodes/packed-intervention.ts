/** @file Interventions as short as they can be kept: most nodes of a site are in one state, and the few others are listed. */
import { must } from "../base/assert.js";
import type { Intervention, SiteIntervention } from "./intervention.js";

/** The states of one array: all are the first one's, but for those that are listed; or as they were, where too many are others. */
type PackedStates =
  | { readonly length: number; readonly state: number; readonly at: Int32Array; readonly others: Uint8Array }
  | Uint8Array;

type PackedSite = { readonly [Part in keyof SiteIntervention]: PackedStates };

/** An intervention that takes less room. */
export interface PackedIntervention {
  readonly sites: readonly (readonly [hook: string, site: PackedSite])[];
  /** Bytes of its arrays. */
  readonly bytes: number;
}

/** A listed node takes this many times the room of one that is not. */
const LISTED_BYTES = Int32Array.BYTES_PER_ELEMENT + 1;

/** Packs an intervention; {@link unpacked} gives an equal one. */
export function packed(intervention: Intervention): PackedIntervention {
  let bytes = 0;
  const pack = (states: Uint8Array): PackedStates => {
    const one = packedStates(states);
    bytes += one instanceof Uint8Array ? one.length : one.at.byteLength + one.others.length;
    return one;
  };
  const sites = Array.from(intervention, ([hook, site]) => [hook, mapParts(site, pack)] as const);
  return { sites, bytes };
}

/** The intervention that was packed, in arrays of its own. */
export function unpacked({ sites }: PackedIntervention): Intervention {
  return new Map(sites.map(([hook, site]) => [hook, mapParts(site, statesOf)]));
}

function mapParts<From, To>(
  site: { readonly [Part in keyof SiteIntervention]: From },
  map: (part: From) => To,
): { readonly [Part in keyof SiteIntervention]: To } {
  const { features, errors, slices, linear, nonlinear } = site;
  return {
    features: map(features),
    errors: map(errors),
    slices: map(slices),
    ...(linear === undefined ? {} : { linear: map(linear) }),
    ...(nonlinear === undefined ? {} : { nonlinear: map(nonlinear) }),
  };
}

function packedStates(states: Uint8Array): PackedStates {
  const state = states[0] ?? 0;
  let count = 0;
  for (let i = 0; i < states.length; i++) if (states[i] !== state) count += 1; // Plain loops: there are millions.
  if (count * LISTED_BYTES >= states.length) return states.slice();
  const [at, others] = [new Int32Array(count), new Uint8Array(count)];
  for (let i = 0, n = 0; n < count; i++)
    if (states[i] !== state) {
      at[n] = i;
      others[n] = must(states[i], "state");
      n += 1;
    }
  return { length: states.length, state, at, others };
}

function statesOf(packed: PackedStates): Uint8Array {
  if (packed instanceof Uint8Array) return packed.slice();
  const { length, state, at, others } = packed;
  const states = new Uint8Array(length);
  if (state !== 0) states.fill(state);
  for (let n = 0; n < at.length; n++) states[at[n] as number] = others[n] as number;
  return states;
}
