/** @file What figures with a line or a dot for each score have in their legends. */
import { capitalised, scoreLabel } from "../../../report/labels.js";
import { seriesStyle } from "../../../report/palette.js";
import type { TruthContents } from "./contents.js";

/** Entries of scores, in the order of `names`. */
export function scoreSeries(
  contents: TruthContents,
  names: readonly string[],
): { label: string; color: string; dash: string }[] {
  return names.map((name, i) => ({ label: capitalised(scoreLabel(contents, name)), ...seriesStyle(i) }));
}
