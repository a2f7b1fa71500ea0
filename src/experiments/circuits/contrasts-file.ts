/** @file `contrasts.parquet`: differences of faithfulness between points of a grid. */
import { artifactMetadata, type Provenance } from "../../artifacts/artifact-metadata.js";
import { type Column, encodeParquet } from "../../artifacts/parquet.js";
import type { Interval, Resamples } from "../../stats/bootstrap.js";
import { differenceOfRatios, recovered } from "../../stats/ratio.js";
import type { CircuitMetrics } from "./circuit-ratios.js";
import type { Contrast } from "./contrasts.js";
import { axisColumns } from "./point-rows.js";

/** The differences of faithfulness as a table. @param metricsOf - by the name of a circuit. */
export function encodeContrasts(
  contrasts: readonly Contrast[],
  metricsOf: (circuit: string) => CircuitMetrics,
  resamples: Resamples,
  provenance: Provenance,
): Uint8Array {
  const share = (circuit: string): ReturnType<typeof recovered> => {
    const { circuit: left, full, empty } = metricsOf(circuit);
    return recovered(left, full, empty);
  };
  const differences = contrasts.map(({ first, second }): Interval =>
    differenceOfRatios(share(first.circuit), share(second.circuit), resamples),
  );
  const text = (name: string, read: (contrast: Contrast) => string): Column => ({
    name,
    type: "STRING",
    values: contrasts.map(read),
  });
  const float = (name: string, read: (interval: Interval) => number | null): Column => ({
    name,
    type: "DOUBLE",
    values: Float64Array.from(differences, (interval) => read(interval) ?? Number.NaN),
  });
  const columns = [
    text("experiment", ({ experiment }) => experiment),
    text("contrast", ({ name }) => name),
    ...axisColumns(contrasts, contrasts),
    text("first", ({ first }) => first.circuit),
    text("second", ({ second }) => second.circuit),
    float("difference", ({ value }) => value),
    float("difference_low", ({ low }) => low),
    float("difference_high", ({ high }) => high),
    {
      name: "clusters",
      type: "INT32",
      values: new Int32Array(contrasts.length).fill(resamples.clusters.count),
    } as const,
  ];
  const normalisation =
    "difference: faithfulness of `first` less that of `second`, over the same draws of the prompts' clusters";
  return encodeParquet([columns], artifactMetadata(provenance, normalisation));
}
