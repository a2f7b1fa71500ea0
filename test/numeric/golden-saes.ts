/** @file The golden fixture's model with its SAEs at every site. */
import type { SaeNodes } from "../../src/circuit/node-states.js";
import { SITES, type Site } from "../../src/circuit/site.js";
import { spliceModel, type PlacedSae, type SplicedModel } from "../../src/attribution/spliced-model.js";
import { loadSae } from "../../src/sae/sae.js";
import { openNpz } from "../../src/weights/npz.js";
import { goldenJson, goldenModel, TINY_A } from "./golden.js";

/** Width of every SAE of the fixture. */
export const GOLDEN_WIDTH = 128;
/** Tokens of every prompt of `pairs`. */
export const GOLDEN_LENGTH = 7;
const LAYERS = [0, 1, 2, 3];

/** The fixture's SAE sites, in forward order. */
export const GOLDEN_SITES: readonly SaeNodes[] = LAYERS.flatMap((layer) =>
  SITES.map((site) => ({ site, layer, dSae: GOLDEN_WIDTH })),
);

/** Loads the model and all twelve SAEs. Owner: caller. */
export async function goldenSpliced(): Promise<SplicedModel> {
  const model = await goldenModel();
  const { saes } = goldenJson("manifest") as { saes: Record<string, { path: string }> };
  const placed: PlacedSae[] = [];
  for (const { site, layer } of GOLDEN_SITES)
    placed.push(await loadPlaced(site, layer, saes[`${site}.${String(layer)}`]?.path ?? ""));
  return spliceModel(model, placed);
}

async function loadPlaced(site: Site, layer: number, path: string): Promise<PlacedSae> {
  const archive = await openNpz(`${TINY_A}/${path}`);
  const [dIn = 0, dSae = 0] = (await archive.shapeOf("W_enc")) ?? [];
  const sae = loadSae({
    dIn,
    dSae,
    W_enc: await archive.read("W_enc"),
    W_dec: await archive.read("W_dec"),
    b_enc: await archive.read("b_enc"),
    b_dec: await archive.read("b_dec"),
    threshold: await archive.read("threshold"),
  });
  await archive.close();
  return { site, layer, sae };
}
