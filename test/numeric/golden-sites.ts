/** @file Sizes of the golden fixture's SAE nodes. */
import type { SaeNodes } from "../../src/nodes/node-states.js";
import { saeSites } from "../../src/nodes/site.js";

/** Width of every SAE of the fixture. */
export const GOLDEN_WIDTH = 128;
/** Tokens of every prompt of `pairs`. */
export const GOLDEN_LENGTH = 7;
/** Layers of the fixture's model. */
export const GOLDEN_LAYERS = 4;

/** The fixture's SAE sites, in forward order. */
export const GOLDEN_SITES: readonly SaeNodes[] = saeSites(GOLDEN_LAYERS).map((at) => ({ ...at, dSae: GOLDEN_WIDTH }));
