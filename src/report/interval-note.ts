/** @file What the report calls its intervals. */
import { ENOUGH_CLUSTERS, FEWEST_CLUSTERS } from "../stats/clusters.js";
import { formatCount } from "./format-number.js";

/**
 * What stands in brackets. An interval is called one of 95 % only where its coverage was measured to be so (docs/reference.md):
 * with enough clusters of prompts.
 * @param clusters - null: the intervals resample single prompts, as those of earlier versions do.
 * @param others - what is drawn beside the clusters.
 */
export function intervalNote(clusters: number | null, others = ""): string {
  if (clusters === null) return "[over single prompts]";
  if (clusters < FEWEST_CLUSTERS) return "";
  const of = `over ${formatCount(clusters)} clusters of prompts${others}`;
  return clusters < ENOUGH_CLUSTERS ? `[rough interval ${of}]` : `[95 % ${of}]`;
}
