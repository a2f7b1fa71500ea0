/** @file A vitest reporter that writes the number of passed, failed and skipped tests to the file scripts/test.js names. */
import { writeFileSync } from "node:fs";

/** A file that does not load, a hook that fails and an error outside any test each count as one failed test. */
export default class SummaryReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    for (const module of modules) {
      count.failed += module.errors().length;
      for (const suite of module.children.allSuites()) count.failed += suite.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        count[state === "passed" ? "passed" : state === "skipped" ? "skipped" : "failed"] += 1;
      }
    }
    writeFileSync(process.env["PATCHBAY_TEST_SUMMARY"], JSON.stringify(count));
  }
}
