/** @file Progress lines: shards done, the open stage's rate, and the time left, from a run's status. */
import { formatSeconds } from "../base/format-seconds.js";
import type { RunStatus, StageStatus } from "../wire/messages.js";

/** One line on how far a run is: `means 13/13 · truth-feature 12/40 shards, 5,210 node-prompts/s, about 40 s left`. */
export function progressLine(status: RunStatus): string {
  const open = status.stages.filter(({ state }) => state === "open" || state === "reducing");
  const done = status.stages.reduce((sum, stage) => sum + stage.done, 0);
  const total = status.stages.reduce((sum, stage) => sum + stage.shards, 0);
  const overall = `${done}/${total} shards`;
  const parts = open.slice(0, 3).map(stagePart);
  return [overall, ...parts].join(" · ");
}

function stagePart({ stage, state, done, shards, freshUnits, seconds }: StageStatus): string {
  if (state === "reducing") return `${stage} reducing`;
  const rates = Object.entries(freshUnits)
    .filter(([, amount]) => amount > 0 && seconds > 0)
    .map(([unit, amount]) => `${formatRate(amount / seconds)} ${unit}/s`);
  const left = done === 0 || seconds === 0 ? "" : `about ${formatSeconds((seconds / done) * (shards - done))} left`;
  return [`${stage} ${done}/${shards}`, ...rates, left].filter((part) => part !== "").join(", ");
}

function formatRate(rate: number): string {
  return rate >= 100 ? Math.round(rate).toLocaleString("en") : rate.toPrecision(2);
}
