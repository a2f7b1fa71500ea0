/**
 * @file The output folder of `patchbay train-saes`: whose it is, and the finished set.
 *
 * 1. `training.json` says what is trained here, and in which environment; another training is refused once there is something to lose.
 * 2. `process` names the process that trains here; a living one is not disturbed.
 * 3. `checkpoint/` holds the state, until the set is whole.
 * 4. The SAEs and card.md are written aside and moved in; `card.json` comes last and says that the set is whole.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { z } from "zod";
import { type Environment, recordedEnvironmentSchema } from "../base/environment.js";
import { badInput, PatchbayError } from "../base/errors.js";
import { canonicalJson } from "../base/hash.js";
import { isProcessAlive } from "../base/process-alive.js";
import { readJsonFile } from "../base/read-file.js";
import { writeFileAtomically } from "../base/write-file.js";
import { openTrainingCheckpoint } from "./sae-checkpoint.js";
import { cardJson, cardText, type CardSubject } from "./sae-set-card.js";
import type { TrainedSaes } from "./train-saes.js";
import { writeSae } from "./write-sae.js";

/** Paths inside the folder. */
export const setPaths = (folder: string) => ({
  training: join(folder, "training.json"),
  process: join(folder, "process"),
  checkpoints: join(folder, "checkpoint"),
  card: join(folder, "card.json"),
  cardText: join(folder, "card.md"),
});

const UNFINISHED = "unfinished";

const trainingSchema = z.strictObject({
  version: z.literal(1),
  /** What decides the bits: settings, and fingerprints of model and text. */
  training: z.record(z.string(), z.unknown()),
  environment: recordedEnvironmentSchema,
});

/** How a folder stands. */
export type SetStart = "new" | "continued" | "complete";

/**
 * Creates the folder, or takes up what was begun there.
 * @throws PatchbayError `different_plan` or `different_environment` naming what differs; `bad_input` when it holds other files, or
 *   another process trains there.
 */
export function openSetFolder(folder: string, training: Record<string, unknown>, environment: Environment): SetStart {
  const paths = setPaths(folder);
  if (!existsSync(paths.training)) {
    if (existsSync(folder) && readdirSync(folder).some((name) => name !== basename(paths.process)))
      throw badInput("expected an empty folder or one of this command, got other files; choose another --out", {
        file: folder,
      });
    mkdirSync(folder, { recursive: true });
  }
  const isWhole = existsSync(paths.card);
  if (!isWhole) takeFolder(folder);
  if (!isWhole && openTrainingCheckpoint(paths.checkpoints) === null) {
    writeFileAtomically(paths.training, `${JSON.stringify({ version: 1, training, environment }, null, 2)}\n`);
    return "new";
  }
  const before = readJsonFile(paths.training, trainingSchema);
  const changed = differences(before.training, training);
  if (changed.length > 0)
    throw new PatchbayError(
      "different_plan",
      `${folder}: another training was begun here; they differ in ${changed.join(", ")}. Choose another --out`,
    );
  if (isWhole) {
    rmSync(paths.checkpoints, { recursive: true, force: true });
    return "complete";
  }
  const moved = differences(before.environment, environment);
  if (moved.length === 0) return "continued";
  throw new PatchbayError(
    "different_environment",
    `${folder}: was begun in another environment (${moved.join(", ")}); bits could differ. Choose another --out, or go on in the first one`,
  );
}

/** Makes this process the one that trains in the folder, unless another does that still lives. */
function takeFolder(folder: string): void {
  const file = setPaths(folder).process;
  try {
    writeFileSync(file, String(process.pid), { flag: "wx" });
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "EEXIST") throw thrown;
    const pid = Number(readFileSync(file, "utf8"));
    if (pid > 0 && pid !== process.pid && isProcessAlive(pid))
      throw badInput(
        `process ${pid} trains here; wait for it, stop it, or choose another --out (if it is no training, remove ${file})`,
        { file: folder },
      );
    writeFileSync(file, String(process.pid));
  }
}

/** Fields that differ, with both values. */
function differences(before: Readonly<Record<string, unknown>>, now: Readonly<Record<string, unknown>>): string[] {
  const text = (value: unknown): string => (value === undefined ? "nothing" : canonicalJson(value));
  return [...new Set([...Object.keys(before), ...Object.keys(now)])]
    .filter((key) => text(before[key]) !== text(now[key]))
    .map((key) => `${key}: was ${text(before[key])}, is ${text(now[key])}`);
}

/** Writes the finished set, then removes the checkpoints. */
export async function writeSet(folder: string, subject: CardSubject, trained: TrainedSaes): Promise<void> {
  const paths = setPaths(folder);
  const aside = join(folder, UNFINISHED);
  rmSync(aside, { recursive: true, force: true });
  mkdirSync(aside);
  const folders: string[] = [];
  for (const { at, weights, figures } of trained.saes) folders.push(await writeSae(aside, at, weights, figures.l0));
  for (const name of readdirSync(aside)) {
    rmSync(join(folder, name), { recursive: true, force: true });
    renameSync(join(aside, name), join(folder, name));
  }
  rmSync(aside, { recursive: true });
  writeFileAtomically(paths.cardText, cardText(subject, trained, folders));
  writeFileAtomically(paths.card, `${JSON.stringify(cardJson(subject, trained, folders), null, 2)}\n`);
  rmSync(paths.checkpoints, { recursive: true, force: true });
  rmSync(paths.process, { force: true });
}
