/** @file The figures of `npm run bench:fullsize` as Markdown. */
import { round } from "../figures.js";

/** A page for the results of one shape. */
export function fullSizeReport(results) {
  const { command, machine, shape, backend, dtype, threads, prompts, memory_mib: memoryMib, written, memory } = results;
  const stages = results.steps.filter(({ unit }) => unit !== undefined);
  const others = results.steps.filter(({ unit }) => unit === undefined);
  const peak = Math.max(...results.steps.map(({ peak_rss_bytes: bytes }) => bytes));
  return `# Gemma-2 ${shape.name}, full size, random weights

\`${command}\`: ${String(shape.layers)} layers of width ${String(shape.width)}, SAEs of ${String(shape.features)} features at all three sites of ${String(shape.saeLayers.length)} layers; ${String(prompts)} pairs of 7 tokens.
${backend}${results.libtorch === undefined ? "" : ` (libtorch ${results.libtorch})`}, ${dtype}, ${String(threads)} threads, ${String(memoryMib)} MiB for the engine (60 % of them for weights); ${String(machine.cores)} cores, ${String(machine.memory_gib)} GiB, ${String(machine.processor)}, load average ${machine.load.join(", ")} at the end.

On disk: ${gb(written.model)} GB of model in bfloat16, ${gb(written.saes)} GB of SAEs in float32; written in ${String(written.seconds)} s. SAEs of one site hold the same matrices, each in a file of its own.

| program | seconds | waiting for weights | bytes from disk | parts loaded | bytes loaded | units | units/s | peak resident |
|---|---|---|---|---|---|---|---|---|
${stages.map(stageRow).join("\n")}

${others.map(({ step, seconds, disk_bytes: bytes }) => `${step}: ${String(seconds)} s, ${gb(bytes)} GB from disk`).join("; ")} (each hashes all files). Before each program, the weights are taken out of the page cache. A part is a layer or an SAE.

Peak of resident memory ${gib(peak)} GiB, mapped files included; memory of its own ${gib(memory.peak_anonymous_bytes)} GiB${memory.peak_tensor_bytes === undefined ? "" : `, of tensors ${gib(memory.peak_tensor_bytes)} GiB`}; mapped files ${gib(memory.peak_mapped_bytes)} GiB.
`;
}

function stageRow(stage) {
  const cells = [
    stage.step,
    stage.seconds,
    stage.waited_seconds,
    `${gb(stage.disk_bytes)} GB`,
    stage.weights_loaded,
    `${gb(stage.weights_loaded_bytes)} GB`,
    `${String(stage.units)} ${stage.unit}`,
    stage.units_per_second,
    `${gib(stage.peak_rss_bytes)} GiB`,
  ];
  return `| ${cells.join(" | ")} |`;
}

const gb = (bytes) => String(round(bytes / 1e9));
const gib = (bytes) => String(round(bytes / 2 ** 30));
