/** @file From work to seconds: how fast an engine multiplies matrices of each shape, moves bytes, and calls kernels. */
import { z } from "zod";
import { must } from "../base/assert.js";
import type { InputPaths, Plan } from "../plan/plan.js";
import { flopsOf, type Product, TRAFFIC_KINDS, type Work } from "./work.js";

const positive = z.number().positive();
const size = z.int().min(1);

/** What a probe runs. */
export interface ProbeRequest {
  readonly plan: Plan;
  readonly inputs: Pick<InputPaths, "model" | "saes" | "saeOptions">;
  /** Milliseconds for all programs together. */
  readonly budgetMs: number;
}

/** What is measured: products by shape, traffic by kind and tensor size, calls. */
export const calibrationRequestSchema = z.object({
  products: z.array(z.object({ m: size, k: size, n: size, batch: size })).max(64),
  /** Milliseconds for the whole measurement; it stops adding repetitions then. */
  budgetMs: positive,
  /** The plan and its inputs, whose programs are run too; they come from this build's own planning. */
  probe: z.custom<ProbeRequest>((value) => typeof value === "object" && value !== null).optional(),
});

const correction = z.object({ products: positive, rest: positive });

/** What a program takes over what rates predict, in products and outside of them. */
export type Correction = z.infer<typeof correction>;

/** The schema of {@link Rates}. */
export const ratesSchema = z.object({
  products: z.array(z.object({ m: size, k: size, n: size, batch: size, gflops: positive })).min(1),
  /** Bytes per second by kind, for small, middle and large tensors. */
  traffic: z.record(z.enum(TRAFFIC_KINDS), z.array(positive).length(3)),
  secondsPerCall: positive,
  /** Resident bytes of an engine before it loads anything. */
  baseBytes: positive,
  /** By kind of stage, where its program was run (src/cost/probe-plan.ts). */
  corrections: z.record(z.string(), correction),
});

/** A shape to measure. */
export type Shape = Omit<Product, "of">;
export type CalibrationRequest = z.infer<typeof calibrationRequestSchema>;
/** Speeds of one engine, measured at the shapes of a plan. */
export type Rates = z.infer<typeof ratesSchema>;

/** Rows beyond which a product's rate does not change any more. */
const ENOUGH_ROWS = 512;
const ENOUGH_BATCHES = 256;
/** Shapes that are measured: those with the most work. */
const MEASURED_SHAPES = 24;

/** The shape at which a product's rate is measured: rows rounded to a power of two, and no more than matter. */
export function measuredShape({ m, k, n, batch }: Shape): Shape {
  const rounded = (value: number, most: number): number => Math.min(most, 2 ** Math.round(Math.log2(value)));
  return { m: batch === 1 ? rounded(m, ENOUGH_ROWS) : m, k, n, batch: rounded(batch, ENOUGH_BATCHES) };
}

/** The shapes that hold most of the work, most first. */
export function shapesToMeasure(works: readonly Work[]): Shape[] {
  const flops = new Map<string, { shape: Shape; total: number }>();
  for (const work of works)
    for (const { product, times } of work.products.values()) {
      const shape = measuredShape(product);
      const key = JSON.stringify(shape);
      flops.set(key, { shape, total: (flops.get(key)?.total ?? 0) + flopsOf(product) * times });
    }
  return [...flops.values()]
    .sort((a, b) => b.total - a.total)
    .slice(0, MEASURED_SHAPES)
    .map(({ shape }) => shape);
}

/** Seconds by what they are spent on. */
export interface Seconds {
  readonly products: number;
  readonly traffic: number;
  readonly calls: number;
}

/** Seconds that one engine needs for a stage's work, corrected by what its program really took. */
export function correctedSeconds(kind: string, work: Work, rates: Rates): Seconds {
  const { products, traffic, calls } = secondsOf(work, rates);
  const { products: inProducts, rest } = rates.corrections[kind] ?? { products: 1, rest: 1 };
  return { products: products * inProducts, traffic: traffic * rest, calls: calls * rest };
}

/** Seconds that one engine needs for the work, at the rates of single operations. */
export function secondsOf(work: Work, rates: Rates): Seconds {
  let products = 0;
  for (const { product, times } of work.products.values())
    products += (times * flopsOf(product)) / (rateOf(measuredShape(product), rates) * 1e9);
  let traffic = 0;
  for (const kind of TRAFFIC_KINDS)
    work.traffic[kind].forEach((bytes, place) => {
      traffic += bytes / must(rates.traffic[kind][place], "rate");
    });
  return { products, traffic, calls: work.calls * rates.secondsPerCall };
}

/** The rate of a shape, or of the measured one that is nearest: by rows first, for thin products are slow ones. */
function rateOf(shape: Shape, { products }: Rates): number {
  const apart = (a: number, b: number): number => Math.abs(Math.log2(a / b));
  let [best, least] = [must(products[0], "measured product").gflops, Infinity];
  for (const one of products) {
    const distance =
      3 * apart(one.m, shape.m) + apart(one.k, shape.k) + apart(one.n, shape.n) + 3 * apart(one.batch, shape.batch);
    if (distance < least) [best, least] = [one.gflops, distance];
  }
  return best;
}
