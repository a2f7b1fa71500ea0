/** @file The last step of a run: the hashes of its artifacts, and the report. */
import { writeArtifactSums } from "../plan/artifact-sums.js";
import { writeReport } from "./write-report.js";

/** Writes the hashes and the report of a run folder from the artifacts that are there. */
export async function finishRun(folder: string): Promise<void> {
  writeArtifactSums(folder);
  await writeReport(folder);
}
