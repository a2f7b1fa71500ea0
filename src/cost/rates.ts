/** @file From work to seconds: a program's speed on the machine, in products and outside of them, as a probe of it finds. */
import { z } from "zod";
import type { InputPaths, Plan } from "../plan/plan.js";
import { hashOfPlan, openPlan, planTexts } from "../plan/stored-plan.js";
import { flopsOf, TRAFFIC_KINDS, type TrafficKind, type Work } from "./work.js";

const positive = z.number().positive();

/** What to measure: the plan's programs, on its inputs. */
export interface ProbeRequest {
  readonly plan: Plan;
  readonly inputs: Pick<InputPaths, "model" | "saes" | "saeOptions">;
  /** Milliseconds for all programs together; each runs once in any case. */
  readonly budgetMs: number;
}

/** A request as it goes to the process that measures: a plan's shards do not survive JSON, what is stored of it does. */
interface StoredRequest extends Omit<ProbeRequest, "plan"> {
  readonly texts: ReturnType<typeof planTexts>;
  readonly planHash: string;
}

/** A request as text. */
export function writeProbeRequest({ plan, ...rest }: ProbeRequest): string {
  const stored: StoredRequest = { ...rest, texts: planTexts(plan), planHash: hashOfPlan(plan) };
  return JSON.stringify(stored);
}

/** The request of such a text, which comes from this build's own planning. */
export function readProbeRequest(text: string): ProbeRequest {
  const { texts, planHash, ...rest } = JSON.parse(text) as StoredRequest;
  return { ...rest, plan: openPlan({ plan: texts.plan, prompts: () => texts.prompts }, planHash, "standard input") };
}

const correction = z.object({ products: positive, rest: positive });

/** What a program takes over what {@link usualSeconds} says, in products and outside of them. */
export type Correction = z.infer<typeof correction>;

/** The schema of {@link Rates}. */
export const ratesSchema = z.object({
  /** By kind of stage, where its program was run (src/cost/probe-plan.ts). */
  corrections: z.record(z.string(), correction),
  /** Resident bytes of an engine before it loads anything. */
  baseBytes: positive,
});

/** Speeds of one engine. */
export type Rates = z.infer<typeof ratesSchema>;

/** Seconds by what they are spent on. */
export interface Seconds {
  readonly products: number;
  readonly traffic: number;
  readonly calls: number;
}

/** A machine to count seconds on. Where programs are probed, only the ratios of the last two matter: how a byte counts beside a call. */
const USUAL = {
  flopsPerSecond: 1e11,
  bytesPerSecond: { arithmetic: 2e10, special: 1e10, copy: 2e10, host: 1e9 } satisfies Record<TrafficKind, number>,
  secondsPerCall: 5e-6,
};

/** Seconds that the work would take on a usual machine, at the speeds of single operations. */
export function usualSeconds(work: Work): Seconds {
  let flops = 0;
  for (const { product, times } of work.products.values()) flops += times * flopsOf(product);
  return {
    products: flops / USUAL.flopsPerSecond,
    traffic: TRAFFIC_KINDS.reduce((sum, kind) => sum + work.traffic[kind] / USUAL.bytesPerSecond[kind], 0),
    calls: work.calls * USUAL.secondsPerCall,
  };
}

/** Seconds that one engine needs for a stage's work: what its program took, or where it was not probed, what the others took. */
export function secondsOf(kind: string, work: Work, { corrections }: Rates): Seconds {
  const { products, traffic, calls } = usualSeconds(work);
  const by = corrections[kind] ?? meanOf(Object.values(corrections));
  return { products: products * by.products, traffic: traffic * by.rest, calls: calls * by.rest };
}

/** The mean of corrections; without any, none. */
export function meanOf(corrections: readonly Correction[]): Correction {
  const mean = (part: keyof Correction): number =>
    corrections.length === 0 ? 1 : corrections.reduce((sum, one) => sum + one[part], 0) / corrections.length;
  return { products: mean("products"), rest: mean("rest") };
}
