import { describe, expect, it } from "vitest";
import { ABLATED, LIVE, RESTORED } from "../../../../src/nodes/intervention.js";
import { siteWork, type SiteWork } from "../../../../src/experiments/circuits/circuit-site-work.js";

const F = 6;
const T = 3;
const sae = { dIn: 2, dSae: F, gate: Float32Array.from([0, 1, 2, 3, 4, 5]) };
const means = {
  features: Float32Array.from({ length: 4 * F }, (_, i) => 100 + i),
  errors: Float32Array.from({ length: 4 * 2 }, (_, i) => 200 + i),
};
const WHOLE = { start: 0, length: T };

/** States of features by position, and of errors. */
function work(
  features: readonly (readonly number[])[],
  errors: readonly number[],
  span = WHOLE,
  fromDonor = false,
): SiteWork | undefined {
  const site = { features: Uint8Array.from(features.flat()), errors: Uint8Array.from(errors) };
  return siteWork(site, sae, span, { means: fromDonor ? null : means, fromDonor });
}

const ALL_LIVE = Array.from({ length: F }, () => LIVE);
const ALL_ABLATED = Array.from({ length: F }, () => ABLATED);
const only = (feature: number, state: number, others: number): number[] =>
  Array.from({ length: F }, (_, i) => (i === feature ? state : others));

describe("the work at a site", () => {
  it("is none where everything is live over the span", () => {
    expect(work([ALL_LIVE, ALL_LIVE, ALL_LIVE], [LIVE, LIVE, LIVE])).toBeUndefined();
    expect(
      work([ALL_ABLATED, ALL_ABLATED, ALL_LIVE], [ABLATED, ABLATED, LIVE], { start: 2, length: 1 }),
    ).toBeUndefined();
  });

  it("encodes the changed features where the error is live, and the live ones where it is changed", () => {
    const { groups } = work([only(4, ABLATED, LIVE), ALL_LIVE, only(2, LIVE, ABLATED)], [LIVE, LIVE, ABLATED]) ?? {
      groups: [],
    };
    expect(groups.map(({ positions, errorLive, columns }) => [positions, errorLive, [...(columns ?? [])]])).toEqual([
      [[0], true, [4]],
      [[1], true, []],
      [[2], false, [2]],
    ]);
    expect(groups.map(({ gate }) => [...gate])).toEqual([[4], [], [2]]);
  });

  it("lets a feature count only at the positions where it is live", () => {
    const { groups } = work(
      [only(1, LIVE, ABLATED), only(5, LIVE, ABLATED), ALL_ABLATED],
      [ABLATED, ABLATED, ABLATED],
    ) ?? { groups: [] };
    expect(groups.map(({ positions }) => positions)).toEqual([[0, 1], [2]]);
    expect([...(groups[0]?.columns ?? [])]).toEqual([1, 5]);
    expect([...(groups[0]?.gate ?? [])]).toEqual([1, Infinity, Infinity, 5]);
  });

  it("encodes all features where half of them or more count", () => {
    const { groups } = work(
      [[LIVE, LIVE, LIVE, ABLATED, ABLATED, ABLATED], ALL_ABLATED, ALL_ABLATED],
      [ABLATED, ABLATED, ABLATED],
    ) ?? { groups: [] };
    expect(groups[0]?.columns).toBeNull();
    expect([...(groups[0]?.gate ?? [])]).toEqual([0, 1, 2, Infinity, Infinity, Infinity]);
  });

  it("takes the means of the span's positions, of ablated nodes only", () => {
    const span = { start: 2, length: 1 };
    const states = [ALL_LIVE, ALL_LIVE, [LIVE, ABLATED, RESTORED, LIVE, ABLATED, LIVE]];
    const { features, errors, errorChanged, restored, donor } = work(states, [LIVE, LIVE, ABLATED], span) ?? {};
    expect([...(features ?? [])]).toEqual([0, 113, 0, 0, 116, 0]);
    expect([...(errors ?? [])]).toEqual([204, 205]);
    expect([...(errorChanged ?? [])]).toEqual([1]);
    expect([...(restored?.features ?? [])]).toEqual([0, 0, 1, 0, 0, 0]);
    expect(restored?.errors).toBeNull();
    expect(donor).toEqual({ features: null, errors: null });
  });

  it("takes out the live linear part where it alone is changed, and adds it where the rest alone is", () => {
    const site = {
      features: new Uint8Array(T * F),
      errors: new Uint8Array(T),
      linear: Uint8Array.of(ABLATED, LIVE, ABLATED),
      nonlinear: Uint8Array.of(LIVE, RESTORED, ABLATED),
    };
    const { groups = [], errorChanged, parts } = siteWork(site, sae, WHOLE, { means, fromDonor: false }) ?? {};
    expect(groups.map(({ positions, errorLive }) => [positions, errorLive])).toEqual([
      [[0], true],
      [[1, 2], false],
    ]);
    expect([...(errorChanged ?? [])]).toEqual([0, 1, 1]);
    expect([...(parts?.live ?? [])]).toEqual([-1, 1, 0]);
    expect([...(parts?.means.linear ?? [])]).toEqual([1, 0, 1]);
    expect([...(parts?.means.nonlinear ?? [])]).toEqual([0, 0, 1]);
    expect([...(parts?.restored.nonlinear ?? [])]).toEqual([0, 1, 0]);
    expect(parts?.donor).toEqual({ linear: null, nonlinear: null });
    const last = siteWork(site, sae, { start: 2, length: 1 }, { means: null, fromDonor: true });
    expect([last?.parts?.live, last?.parts?.means.linear, [...(last?.parts?.donor.linear ?? [])]]).toEqual([
      null,
      null,
      [1],
    ]);
  });

  it("is none where every part is live over the span, and says nothing of parts where none is named", () => {
    const site = { features: new Uint8Array(T * F), errors: new Uint8Array(T) };
    const [linear, nonlinear] = [Uint8Array.of(ABLATED, LIVE, LIVE), new Uint8Array(T)];
    expect(
      siteWork({ ...site, linear, nonlinear }, sae, { start: 1, length: 2 }, { means, fromDonor: false }),
    ).toBeUndefined();
    expect(
      siteWork({ ...site, errors: new Uint8Array(T).fill(ABLATED) }, sae, WHOLE, { means, fromDonor: false }),
    ).not.toHaveProperty("parts");
  });

  it("takes ablated nodes from the donor where there is one", () => {
    const { features, errors, donor } =
      work([ALL_LIVE, only(3, ABLATED, LIVE), ALL_LIVE], [ABLATED, LIVE, LIVE], WHOLE, true) ?? {};
    expect([features, errors]).toEqual([null, null]);
    expect(donor?.features?.indexOf(1)).toBe(F + 3);
    expect([...(donor?.errors ?? [])]).toEqual([1, 0, 0]);
  });
});
