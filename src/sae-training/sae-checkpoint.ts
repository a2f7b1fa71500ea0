/**
 * @file Checkpoints of SAE training: a folder `<fill>` for each, of which only the latest is kept.
 *
 * A checkpoint is written aside and renamed when it is whole, so after a kill there is either it or the one before.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { z } from "zod";
import { must } from "../base/assert.js";
import { readJsonFile } from "../base/read-file.js";
import { writeFault, writeFileAtomically } from "../base/write-file.js";
import { siteHook, type SaeSiteAt } from "../nodes/site.js";
import { openSafetensors, writeFloatStreams } from "../weights/safetensors.js";
import type { SiteNumbers, SiteState } from "./site-trainer.js";

const STATE_FILE = "state.json";
const WHOLE = /^\d{1,9}$/;

const figures = z.strictObject({ loss: z.number(), fvu: z.number(), l0: z.number(), dead: z.int() });
const numbers = z.strictObject({ scale: z.number(), sparsity: z.number(), steps: z.int() });

/** One point of the training curve: figures of each site by hook, over the rows of one fill of the buffer. */
export const curvePointSchema = z.strictObject({ tokens: z.int(), sites: z.record(z.string(), figures) });
/** A point of the training curve, checked. */
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
  read(at: SaeSiteAt): Promise<SiteState>;
}

/**
 * Writes a checkpoint, of any size and one array at a time, and removes the others; half-written ones first, which take room.
 * @throws PatchbayError `disk_full`.
 */
export async function writeTrainingCheckpoint(
  folder: string,
  { fills, curve }: Progress,
  sites: readonly { readonly at: SaeSiteAt; readonly state: SiteState }[],
): Promise<void> {
  const name = String(fills);
  removeFrom(folder, (other) => !WHOLE.test(other));
  const aside = join(folder, `${name}.part`);
  mkdirSync(aside, { recursive: true });
  const states: Record<string, SiteNumbers> = {};
  for (const { at, state } of sites) {
    const file = join(aside, `${siteHook(at)}.safetensors`);
    const streams = [...state.arrays].map(
      ([array, tensor]) => [array, { shape: tensor.shape, pieces: piece(tensor) }] as const,
    );
    await writeFloatStreams(file, new Map(streams), {}).catch((thrown: unknown) => {
      throw writeFault(file, thrown);
    });
    states[siteHook(at)] = state.numbers;
  }
  writeFileAtomically(join(aside, STATE_FILE), `${JSON.stringify({ fills, curve, sites: states })}\n`);
  renameSync(aside, join(folder, name));
  removeFrom(folder, (other) => other !== name);
}

function removeFrom(folder: string, isMeant: (name: string) => boolean): void {
  for (const name of existsSync(folder) ? readdirSync(folder) : [])
    if (isMeant(name)) rmSync(join(folder, name), { recursive: true, force: true });
}

const piece = (tensor: Tensor) =>
  async function* (): AsyncGenerator<Float32Array> {
    yield await tensor.data<"float32">();
  };

/** The latest whole checkpoint, if there is one. */
export function openTrainingCheckpoint(folder: string): Checkpointed | null {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => WHOLE.test(name)) : [];
  if (names.length === 0) return null;
  const latest = join(folder, String(Math.max(...names.map(Number))));
  const { sites, ...progress } = readJsonFile(join(latest, STATE_FILE), stateSchema);
  const read = async (at: SaeSiteAt): Promise<SiteState> => {
    const file = await openSafetensors(join(latest, `${siteHook(at)}.safetensors`));
    try {
      const arrays = new Map<string, Tensor>();
      for (const [name, { shape }] of file.tensors)
        arrays.set(name, tf.tensor(await file.readFloats(name), [...shape]));
      return { arrays, numbers: must(sites[siteHook(at)], siteHook(at)) };
    } finally {
      await file.close();
    }
  };
  return { ...progress, read };
}
