/**
 * @file Checkpoints of SAE training: a folder `<fill>` for each, of which only the latest is kept.
 *
 * A checkpoint is written under another name and renamed when it is whole, so after a kill there is either it or the one before.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { z } from "zod";
import { must } from "../base/assert.js";
import { readJsonFile } from "../base/read-file.js";
import { writeFileAtomically } from "../base/write-file.js";
import { siteHook, type SiteAt } from "../circuit/site.js";
import { encodeSafetensors, readSafetensorsFile } from "../weights/safetensors.js";
import type { SiteNumbers, SiteState } from "./site-trainer.js";

const STATE_FILE = "state.json";
const WHOLE = /^\d{1,9}$/;

const figures = z.strictObject({ loss: z.number(), fvu: z.number(), l0: z.number(), dead: z.int() });
const numbers = z.strictObject({ scale: z.number(), sparsity: z.number(), steps: z.int() });

/** One point of the training curve: figures of each site by hook, over the rows of one fill. */
export const curvePointSchema = z.strictObject({ tokens: z.int(), sites: z.record(z.string(), figures) });
export type CurvePoint = z.infer<typeof curvePointSchema>;

const stateSchema = z.strictObject({
  fills: z.int(),
  curve: z.array(curvePointSchema),
  sites: z.record(z.string(), numbers),
});

/** Where training stands: fills of the buffer that are done, and what they showed. */
export interface Progress {
  readonly fills: number;
  readonly curve: readonly CurvePoint[];
}

/** A checkpoint that is read site by site. */
export interface Checkpointed extends Progress {
  /** Owner of the tensors: caller. */
  read(at: SiteAt): Promise<SiteState>;
}

/** Writes a checkpoint and removes the others. */
export function writeCheckpoint(
  folder: string,
  { fills, curve }: Progress,
  sites: readonly { readonly at: SiteAt; readonly state: SiteState }[],
): void {
  const name = String(fills);
  const part = join(folder, `${name}.part`);
  rmSync(part, { recursive: true, force: true });
  mkdirSync(part, { recursive: true });
  const states: Record<string, SiteNumbers> = {};
  for (const { at, state } of sites) {
    const arrays = [...state.arrays].map(
      ([array, tensor]) => [array, { shape: tensor.shape, values: tensor.dataSync<"float32">() }] as const,
    );
    writeFileAtomically(join(part, `${siteHook(at)}.safetensors`), encodeSafetensors(new Map(arrays)));
    states[siteHook(at)] = state.numbers;
  }
  writeFileAtomically(join(part, STATE_FILE), `${JSON.stringify({ fills, curve, sites: states })}\n`);
  renameSync(part, join(folder, name));
  for (const other of readdirSync(folder))
    if (other !== name) rmSync(join(folder, other), { recursive: true, force: true });
}

/** The latest whole checkpoint, if there is one. */
export function openCheckpoint(folder: string): Checkpointed | null {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => WHOLE.test(name)) : [];
  if (names.length === 0) return null;
  const latest = join(folder, String(Math.max(...names.map(Number))));
  const { sites, ...progress } = readJsonFile(join(latest, STATE_FILE), stateSchema);
  const read = async (at: SiteAt): Promise<SiteState> => {
    const { arrays } = await readSafetensorsFile(join(latest, `${siteHook(at)}.safetensors`));
    const tensors = [...arrays].map(
      ([name, { shape, values }]) => [name, tf.tensor(values as Float32Array, [...shape])] as const,
    );
    return { arrays: new Map(tensors), numbers: must(sites[siteHook(at)], siteHook(at)) };
  };
  return { ...progress, read };
}
