/** @file A coordinator process for cluster tests: the product's, with the reductions of noop stages. Arguments: one JSON object. */
import { toPatchbayError } from "../../dist/base/errors.js";
import { runCoordinator } from "../../dist/coordinator/run-coordinator.js";
import { onParentGone } from "../../dist/wire/parent-process.js";

const { folder, log, port, settings } = JSON.parse(process.argv[2]);
const drain = new AbortController();
const stop = new AbortController();
process.on("SIGTERM", () => drain.abort());
onParentGone(() => stop.abort());
try {
  const status = await runCoordinator({
    host: "127.0.0.1",
    port,
    run: { folder, log },
    settings,
    drain: drain.signal,
    stop: stop.signal,
    reduceModules: [new URL("./noop-reductions.js", import.meta.url).href],
    say: (text) => process.stderr.write(`${text}\n`),
  });
  process.stdout.write(`${JSON.stringify(status)}\n`);
} catch (thrown) {
  const { code, message } = toPatchbayError(thrown);
  process.stderr.write(`${code}: ${message}\n`);
  process.exitCode = 2;
}
if (process.connected) process.disconnect();
