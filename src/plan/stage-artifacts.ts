/** @file Which stage's reduction writes which artifact. */
import { unreachable } from "../base/assert.js";
import type { Plan, Stage } from "./plan.js";
import { SCORE_METHODS } from "./score-methods.js";

/** Stage ids by the names of the artifacts that their reductions may write. */
export function artifactStages({ stages }: Plan): Map<string, string> {
  const found = new Map<string, string>();
  for (const stage of stages) {
    // The components are those of the first scores that have any.
    for (const name of artifactsOf(stage)) if (!found.has(name)) found.set(name, stage.id);
  }
  return found;
}

function artifactsOf({ task }: Stage): readonly string[] {
  switch (task.kind) {
    case "means":
      return ["means.safetensors"];
    case "scores": {
      const scores = `scores-${task.score.name}.safetensors`;
      return SCORE_METHODS[task.score.method].hasComponents ? [scores, "components.parquet"] : [scores];
    }
    case "nodes":
      return ["nodes.parquet"];
    case "validation":
      return ["truth.parquet", "validation.parquet", "validation.json"];
    case "circuits":
      return ["circuits.parquet", "circuits-prompts.parquet"];
    case "truth":
    case "noop":
      return [];
    default:
      return unreachable(task);
  }
}
