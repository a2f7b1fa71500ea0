/** @file Which workers may take a lease of a run, and if not, why. */
import { environmentDifferences } from "../base/environment.js";
import type { CoordinatorState, RunProgress, WorkerProgress } from "./state.js";

/** Why this worker takes no lease of this run; null when it may. */
export function obstacle(state: CoordinatorState, run: RunProgress, worker: WorkerProgress): string | null {
  const own = ownObstacle(run, worker);
  if (own !== null) return own;
  if (worker.cordoned === null) return null;
  const others = [...state.workers.values()].some(
    (other) => other.cordoned === null && ownObstacle(run, other) === null,
  );
  return others ? `cordoned: ${worker.cordoned}` : null;
}

/** The workers that may take a lease of this run, in the order they came. */
export function eligibleWorkers(state: CoordinatorState, run: RunProgress): WorkerProgress[] {
  return [...state.workers.values()].filter((worker) => obstacle(state, run, worker) === null);
}

/** How the worker's environment differs from the run's; null when it fits. */
function environmentObstacle(run: RunProgress, worker: WorkerProgress): string | null {
  const differences = environmentDifferences(run.environment, worker.environment);
  return differences.length === 0 ? null : `its environment differs from the run's: ${differences.join("; ")}`;
}

function ownObstacle(run: RunProgress, worker: WorkerProgress): string | null {
  if (worker.session === null) return "its stream ended";
  if (worker.draining) return "it is leaving";
  return environmentObstacle(run, worker);
}
