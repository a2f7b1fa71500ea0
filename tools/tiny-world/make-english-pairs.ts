/** @file `npm run make-pairs`: the agreement pairs of data/english-agreement, for pretrained models. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { englishFiles } from "./english-pairs.js";

const FOLDER = "data/english-agreement";

mkdirSync(FOLDER, { recursive: true });
for (const [name, text] of englishFiles()) writeFileSync(join(FOLDER, name), text);
