/** @file What the report calls its intervals. */
import { formatCount } from "../../../report/format-number.js";
import { ENOUGH_CLUSTERS, FEWEST_CLUSTERS } from "../../../stats/clusters.js";
import type { TruthContents } from "./contents.js";

/**
 * What stands in brackets. An interval is called one of 95 % only where its coverage was measured to be so (docs/reference.md):
 * with enough clusters of prompts.
 */
export function intervalNote({ clusters }: Pick<TruthContents, "clusters">): string {
  if (clusters === null) return "[over single prompts]";
  if (clusters < FEWEST_CLUSTERS) return "";
  const of = `over ${formatCount(clusters)} clusters of prompts and the drawn nodes`;
  return clusters < ENOUGH_CLUSTERS ? `[rough interval ${of}]` : `[95 % ${of}]`;
}
