/** @file Reduces stages of a run folder with some build, alone in its process, and prints what that took: `reduce-run.js DIST FOLDER STAGE...`. */
import { PerformanceObserver } from "node:perf_hooks";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [dist, folder, ...stages] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(join(dist, name)).href);
const { reduceStage } = await load("artifacts/reduce-stage.js");
const { REGISTER } = await load("experiments/registry.js");
/** @type {Record<string, number>} */
const parts = {};
const observer = new PerformanceObserver((list) => {
  for (const { name, duration } of list.getEntries()) parts[name] = (parts[name] ?? 0) + duration / 1000;
});
observer.observe({ entryTypes: ["measure"] });
const [start, used] = [performance.now(), process.cpuUsage()];
for (const stage of stages) await reduceStage(REGISTER.experiments, folder, stage);
const { user, system } = process.cpuUsage(used);
await new Promise((resolve) => setTimeout(resolve, 0));
console.log(
  JSON.stringify({
    seconds: (performance.now() - start) / 1000,
    processor_seconds: (user + system) / 1e6,
    peak_mib: process.resourceUsage().maxRSS / 1024,
    parts,
  }),
);
