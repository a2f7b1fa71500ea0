/** @file `patchbay train-saes`: trains SAEs for a model's sites on text, in Gemma Scope's layout. */
import { Command, CommanderError } from "commander";
import { toPatchbayError } from "../base/errors.js";
import { exitCodeOfCommander, exitCodeOfError } from "../base/exit-code.js";
import { printError } from "../base/print-error.js";
import { autoThreads, chooseBackend, environmentOf } from "../backends/choose-backend.js";
import { threadSettings } from "../backends/thread-settings.js";
import { formatSeconds } from "../base/format-seconds.js";
import { siteHook } from "../nodes/site.js";
import { loadModel } from "../model/model.js";
import { openTokenizer } from "../prompts/tokenizer.js";
import { openCheckpoint } from "../weights/checkpoint.js";
import { startBackend } from "../backends/start-backend.js";
import type { CurvePoint } from "./sae-checkpoint.js";
import type { CardSubject } from "./sae-set-card.js";
import { openSetFolder, setPaths, writeSet } from "./sae-set-folder.js";
import { trainSaes, type TrainedSaes, type TrainingPlace } from "./train-saes.js";
import {
  checkpointSeconds,
  outputFolder,
  readSettings,
  settingsRecord,
  type TrainSaesOptions,
} from "./train-saes-options.js";
import { fingerprintText, readDocuments, tokenizeText } from "./training-text.js";

/** L0 beyond this multiple of its target is pointed out. */
const ABOVE_TARGET = 1.25;

async function train(options: TrainSaesOptions): Promise<void> {
  const log = (line: string): void => {
    if (!options.json) process.stdout.write(`${line}\n`);
  };
  const folder = outputFolder(options);
  const checkpoint = await openCheckpoint(options.model);
  try {
    const settings = readSettings(options, checkpoint.config);
    const everySeconds = checkpointSeconds(options);
    const documents = readDocuments(options.text);
    const choice = chooseBackend(options.backend, checkpoint.config.dModel);
    const fingerprints = { model: await checkpoint.fingerprint(), text: fingerprintText(documents) };
    const threads = choice.backend === "wasm" ? 1 : setThreads(autoThreads(choice.backend, 1));
    const record = { ...settingsRecord(settings), ...fingerprints };
    const start = openSetFolder(folder, record, environmentOf(choice, threads, "float32"));
    if (start !== "complete") {
      await startBackend(choice.backend);
      log(`${choice.backend}: ${choice.reason}`);
      const tokenizer = openTokenizer(options.model, checkpoint.config.family.bos);
      const text = tokenizeText(documents, tokenizer, settings.tokens, settings.training.seed);
      const model = await loadModel(checkpoint);
      const place = { checkpoints: setPaths(folder).checkpoints, checkpointSeconds: everySeconds, ...progress(log) };
      const trained = await trainSaes(model, text, settings, place);
      model.dispose();
      await writeSet(folder, { fingerprints, settings, text } satisfies CardSubject, trained);
      for (const line of resultLines(trained, settings.training.targetL0)) log(line);
    }
    log(`${start === "complete" ? "trained before" : "SAEs"}: ${folder}`);
    if (options.json) process.stdout.write(`${JSON.stringify({ path: folder })}\n`);
  } finally {
    await checkpoint.close();
  }
}

/** Sets the threads of the library that is loaded next: as many as OMP_NUM_THREADS says, where it says so. */
function setThreads(wanted: number): number {
  const given = Number(process.env["OMP_NUM_THREADS"]);
  const threads = Number.isInteger(given) && given > 0 ? given : wanted;
  Object.assign(process.env, threadSettings(threads));
  return threads;
}

function progress(log: (line: string) => void): Pick<TrainingPlace, "onFill" | "onResume"> {
  let began = performance.now();
  let from = 0;
  return {
    onResume: (tokens) => {
      began = performance.now();
      from = tokens;
      log(`going on after ${count(tokens)} tokens`);
    },
    onFill: ({ tokens, sites }, total) => {
      const rate = (tokens - from) / ((performance.now() - began) / 1000);
      const left = formatSeconds((total - tokens) / rate);
      log(`${count(tokens)} of ${count(total)} tokens, ${count(Math.round(rate))} tokens/s, about ${left} left`);
      for (const [hook, figures] of Object.entries(sites)) log(`  ${hook.padEnd(28)} ${figuresText(figures)}`);
    },
  };
}

function figuresText({ loss, fvu, l0, dead }: CurvePoint["sites"][string]): string {
  return `loss ${loss.toFixed(4)}  FVU ${fvu.toFixed(4)}  L0 ${l0.toFixed(1).padStart(6)}  dead ${dead}`;
}

function resultLines({ saes }: TrainedSaes, targetL0: number): string[] {
  const above = saes.filter(({ figures }) => figures.l0 > ABOVE_TARGET * targetL0).length;
  return [
    "on held-out text:",
    ...saes.map(({ at, figures }) => {
      const { fvu, medianFvu, l0, dead } = figures;
      return `  ${siteHook(at).padEnd(28)} FVU ${fvu.toFixed(3)} (median ${medianFvu.toFixed(3)})  L0 ${l0.toFixed(1)}  dead ${dead}`;
    }),
    ...(above === 0 ? [] : [`L0 is above its target at ${above} sites: they need more --tokens to get there`]),
  ];
}

const count = (value: number): string => value.toLocaleString("en");

function program(): Command {
  return new Command("patchbay train-saes")
    .description("train JumpReLU SAEs for a model's sites on text; the same command goes on where it was stopped")
    .requiredOption("--model <folder>", "checkpoint folder")
    .requiredOption(
      "--text <path>",
      "a .txt or .jsonl file (a document in each line's field `text`), or a folder of them",
    )
    .requiredOption("--width <n>", "features of each SAE: 2048, 16k")
    .option("--sites <names>", "all, or some of attn_z,mlp_out,resid_post", "all")
    .option("--layers <list>", "all, or numbers and ranges: 0,3,6-8", "all")
    .option("--tokens <n>", "tokens to train on; more than the text has means several passes", "1000000")
    .option("--l0 <n>", "firing features per token to steer for", "80")
    .option("--seed <n>", "order of the text, first weights", "0")
    .option(
      "--buffer <rows>",
      "tokens whose activations are held and shuffled (default: what fits into 512 MiB, 2,048 to 65,536)",
    )
    .option("--checkpoint-seconds <n>", "least time from one checkpoint to the next", "300")
    .option("--out <folder>", "default: saes/<model>-<width>; the same folder goes on")
    .option("--backend <name>", "auto | torch | tensorflow | wasm", "auto")
    .option("--json", "print the result as JSON, without progress", false)
    .exitOverride()
    .action(async (options: TrainSaesOptions) => {
      await train(options);
    });
}

try {
  await program().parseAsync(process.argv.slice(3), { from: "user" });
} catch (thrown) {
  if (thrown instanceof CommanderError) process.exitCode = exitCodeOfCommander(thrown);
  else {
    const error = toPatchbayError(thrown);
    printError(error, process.argv.includes("--json"));
    process.exitCode = exitCodeOfError(error);
  }
}
