/** @file Every score method of the product, by the name that a sweep calls it by. */
import { atp } from "./atp.js";
import { ig } from "./ig.js";
import { relp } from "./relp.js";
import type { ScoreMethods } from "./score-method.js";
import { zero } from "./zero.js";

/** The score methods of the product, by the names that sweeps give them. */
export const METHODS: ScoreMethods = { atp, zero, ig, relp };
