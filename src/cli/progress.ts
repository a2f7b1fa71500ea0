/** @file Progress lines: shards done, the open stages' rates, and the time that the whole run has left, from a run's status. */
import { formatSeconds } from "../base/format-seconds.js";
import type { RunStatus, StageStatus } from "../wire/messages.js";

/** Engine seconds that each stage is expected to take, by its id. */
export type ExpectedSeconds = Readonly<Record<string, number>>;

const SHOWN_STAGES = 3;

/**
 * One line on how far a run is: `14/40 shards · truth-feature 4/10, 5,210 node-prompts/s · about 40 s left`.
 * @param expected - for stages of which nothing is measured yet; without it the time that is left is a lower bound.
 */
export function progressLine(status: RunStatus, expected: ExpectedSeconds = {}): string {
  const open = status.stages.filter(({ state }) => state === "open" || state === "reducing");
  const done = status.stages.reduce((sum, stage) => sum + stage.done, 0);
  const total = status.stages.reduce((sum, stage) => sum + stage.shards, 0);
  const left = timeLeft(status, expected);
  const parts = [`${String(done)}/${String(total)} shards`, ...open.slice(0, SHOWN_STAGES).map(stagePart)];
  return [...parts, ...(left === "" ? [] : [left])].join(" · ");
}

function stagePart({ stage, state, done, shards, freshUnits, seconds }: StageStatus): string {
  if (state === "reducing") return `${stage} reducing`;
  const rates = Object.entries(freshUnits)
    .filter(([, amount]) => amount > 0 && seconds > 0)
    .map(([unit, amount]) => `${formatRate(amount / seconds)} ${unit}/s`);
  return [`${stage} ${String(done)}/${String(shards)}`, ...rates].join(", ");
}

/** Whole numbers from 10 on: digits behind the point say nothing there. */
function formatRate(rate: number): string {
  return rate >= 9.95 ? Math.round(rate).toLocaleString("en") : String(Number(rate.toPrecision(2)));
}

/**
 * 1. A stage's shards take what those that are done took, or what was expected, scaled by how the measured stages compare.
 * 2. Engines work as many seconds per second of the clock as they did so far.
 */
function timeLeft({ stages, seconds }: RunStatus, expected: ExpectedSeconds): string {
  const measured = stages.filter(({ done, engineSeconds }) => done > 0 && engineSeconds > 0);
  const worked = stages.reduce((sum, stage) => sum + freshSeconds(stage), 0);
  if (worked === 0 || seconds === 0) return "";
  const pace = worked / seconds;
  const scale = scaleOf(measured, expected);
  const left = stages.map((stage) => engineSecondsLeft(stage, expected[stage.stage], scale));
  const known = left.reduce<number>((sum, one) => sum + (one ?? 0), 0) / pace;
  if (known === 0) return "";
  return `${left.includes(undefined) ? "at least" : "about"} ${formatSeconds(known)} left`;
}

/** How much longer than expected the shards took that are done. */
function scaleOf(measured: readonly StageStatus[], expected: ExpectedSeconds): number {
  let [took, promised] = [0, 0];
  for (const { stage, engineSeconds, done, shards } of measured) {
    const whole = expected[stage] ?? 0;
    if (whole === 0) continue;
    took += engineSeconds;
    promised += (whole * done) / shards;
  }
  return promised === 0 ? 1 : took / promised;
}

function engineSecondsLeft(stage: StageStatus, whole: number | undefined, scale: number): number | undefined {
  const { shards, done, quarantined, engineSeconds } = stage;
  const left = shards - done - quarantined;
  if (left === 0) return 0;
  if (done > 0 && engineSeconds > 0) return (engineSeconds / done) * left;
  return whole === undefined ? undefined : ((whole * left) / shards) * scale;
}

/** Engine seconds since the run was taken up: those of replayed shards were spent before. */
function freshSeconds({ engineSeconds, units, freshUnits }: StageStatus): number {
  const sum = (amounts: Readonly<Record<string, number>>): number => Object.values(amounts).reduce((a, b) => a + b, 0);
  const all = sum(units);
  return all === 0 ? 0 : engineSeconds * (sum(freshUnits) / all);
}
