/** @file The last step of a run: the report. */
import { writeReport } from "./write-report.js";

/** Writes the report of a run folder from the artifacts that are there. */
export async function finishRun(folder: string): Promise<void> {
  await writeReport(folder);
}
