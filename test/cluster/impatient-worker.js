/** @file A worker process for cluster tests: the product's, but it waits only a moment for a run log that is away. Arguments: one JSON object. */
import { codeVersion } from "../../dist/base/code-version.js";
import { tfjsVersion } from "../../dist/backends/tfjs-version.js";
import { NODE_VERSION } from "../../dist/base/environment.js";
import { onParentGone } from "../../dist/wire/parent-process.js";
import { runWorker } from "../../dist/worker/supervisor.js";

const { coordinator, name, log } = JSON.parse(process.argv[2]);
const stop = new AbortController();
onParentGone(() => stop.abort());
await runWorker({
  coordinator,
  name,
  log,
  environment: {
    code: codeVersion(),
    backend: "wasm",
    device: "cpu",
    threads: 0,
    dtype: "",
    node: NODE_VERSION,
    tfjs: tfjsVersion("wasm"),
  },
  natsPatienceMs: 100,
  stop: stop.signal,
  say: (text) => process.stderr.write(`${text}\n`),
});
if (process.connected) process.disconnect();
