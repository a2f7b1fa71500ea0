/** @file What an event costs does not depend on how many shards the run has. */
import { expect, test } from "vitest";
import type { CoordinatorState } from "../../../src/coordinator/state.js";
import { runOf, Scenario } from "./scenario.js";

const SHARDS = 100_000;

/** Every object that can be reached, but for those that are `known`. */
function objectsIn(value: unknown, known: ReadonlySet<object> = new Set(), found = new Set<object>()): Set<object> {
  if (typeof value !== "object" || value === null || known.has(value) || found.has(value)) return found;
  found.add(value);
  for (const part of partsOf(value)) objectsIn(part, known, found);
  return found;
}

function partsOf(value: object): unknown[] {
  return value instanceof Map ? [...(value as Map<unknown, unknown>).values()] : Object.values(value);
}

/** Entries of everything that a step has made, instead of taking it over from the state before. */
function copied(before: CoordinatorState, after: CoordinatorState): number {
  return [...objectsIn(after, objectsIn(before))].reduce((sum, made) => sum + partsOf(made).length, 0);
}

test("an event of a run of 100,000 shards copies a few hundred entries", () => {
  const s = new Scenario();
  s.tell({ kind: "runAdded", run: runOf("r", { first: [SHARDS] }) });
  const costOf = (act: () => void): number => {
    const before = s.state;
    act();
    expect(s.state).not.toBe(before);
    return copied(before, s.state);
  };
  const costs = {
    grant: costOf(() => s.attach("a")),
    heartbeat: costOf(() => {
      const leases = s.state.workers.get("a")?.leases.map(({ id }) => id) ?? [];
      s.tell({ kind: "heartbeat", worker: "a", session: s.sessionOf("a"), leases, engine: null });
    }),
    complete: costOf(() => s.complete("a", "first.00000")),
    fail: costOf(() => s.fail("a", "first.00001", "engine_died")),
    quarantine: costOf(() => {
      for (let failures = 0; failures < 2; failures++) s.fail("a", "first.00002", "application");
    }),
    lose: costOf(() => s.wait(60_000)),
  };
  for (const [event, cost] of Object.entries(costs)) expect(cost, event).toBeLessThan(1000);
  expect(s.phases(0).filter((phase) => phase !== "pending")).toEqual(["done", "quarantined"]);
});
