/** @file The comparison as a Markdown table. */
import { median, round } from "../figures.js";

/** What the original Python pipeline did per second on another machine (2 cores, float32), and that machine's product rate there. */
const ORIGINAL = {
  medium: { atp: 9.07, "truth, error nodes": 15.1, "truth, feature nodes": 31.9, circuits: 11.9, means: 22.6 },
  "2b-slice": { atp: 0.84, "truth, error nodes": 1.5, "truth, feature nodes": 2.39, circuits: 1.08, means: 2.01 },
};
const ORIGINAL_GEMM = { shape: "2048 x 2048 x 2048", gflops: 194 };

/** Ratios to reach: against plain HF with hooks, and against the original. */
const GOALS = {
  medium: { atp: [2.5, 4], "truth, error nodes": [8, 50], "truth, feature nodes": [8, 25], circuits: [3, 10] },
  "2b-slice": { atp: [2.5, 4], "truth, error nodes": [8, 50], "truth, feature nodes": [8, 25], circuits: [3, 10] },
};

/** Rates of both sides and their ratio within each turn. */
export function summary({ turns }) {
  const rate = (side, time) => median(turns.map((turn) => turn[side].units / turn[side][time]));
  const ratio = (time) =>
    median(turns.map(({ engine, peer }) => engine.units / engine[time] / (peer.units / peer[time])));
  return {
    engine: rate("engine", "seconds"),
    peer: rate("peer", "seconds"),
    engine_cpu: rate("engine", "cpu"),
    peer_cpu: rate("peer", "cpu"),
    wall_ratio: ratio("seconds"),
    cpu_ratio: ratio("cpu"),
    turns: turns.length,
  };
}

/** The page: what ran, the product rates, a row for each task. */
export function markdown({ machine, backend, peer, size, gemm_gflops, units, rates }) {
  const { before, after } = gemm_gflops;
  const square = median([before, after].map((at) => at.square.engine.wall));
  const rows = Object.entries(rates).map(([task, rate]) => row(size.name, task, units[task], rate, square));
  return `# ${size.name}: the ${backend} engine against plain PyTorch with hooks

${size.layers} layers, width ${size.width}, MLP ${size.mlp}, ${3 * size.layers} SAEs of ${size.features} features, 7 tokens, float32, ${peer.threads} threads each.
Peer: torch ${peer.torch}, transformers ${peer.transformers}, bench/peers/peers.py. Machine: ${machine.processor}, ${machine.cores} cores, load average ${machine.load.map(short).join(", ")}.

Products (GFLOP/s by wall time, engine / peer), before and after: ${products(before)}; ${products(after)}.

| task | engine, wall | peer, wall | ratio, wall | ratio, processor time | to reach | against the original, as measured | scaled by products | to reach | largest difference | turns |
|---|---|---|---|---|---|---|---|---|---|---|
${rows.join("\n")}

- Ratios to the peer are taken within a turn; the median is given. Processor time does not see other work on a shared machine.
- The original's rates were measured on another machine, whose products of ${ORIGINAL_GEMM.shape} ran at ${ORIGINAL_GEMM.gflops} GFLOP/s; "scaled" divides by that and
  multiplies by this run's ${short(square)}.
- Patched runs: only rows that ran count for the engine; every row counts for the peer.
- Largest difference: between the values of both sides, as a share of the largest value.
- Peak memory: engine ${short(peakOf(rates, "engine"))} GiB, peer ${short(peakOf(rates, "peer"))} GiB.
`;
}

function row(size, task, unit, rate, square) {
  const { engine, peer, wall_ratio, cpu_ratio, turns } = summary(rate);
  const original = ORIGINAL[size]?.[task];
  const [ofPeer, ofOriginal] = GOALS[size]?.[task] ?? [];
  const times = (value) => (value === undefined ? "" : `${short(value)}x`);
  const measured = original === undefined ? undefined : engine / original;
  const scaled = measured === undefined ? undefined : measured / (square / ORIGINAL_GEMM.gflops);
  const difference = rate.agreement === null ? "" : rate.agreement.difference.toExponential(0);
  const cells = [`${task} (${unit})`, short(engine), short(peer), times(wall_ratio), times(cpu_ratio), times(ofPeer)];
  return `| ${[...cells, times(measured), times(scaled), times(ofOriginal), difference, turns].join(" | ")} |`;
}

function products(rates) {
  return Object.entries(rates)
    .map(([name, { engine, peer }]) => `${name} ${short(engine.wall)} / ${short(peer.wall)}`)
    .join(", ");
}

function peakOf(rates, side) {
  return Math.max(...Object.values(rates).flatMap(({ turns }) => turns.map((turn) => turn[side].peak)));
}

function short(value) {
  return String(round(value));
}
