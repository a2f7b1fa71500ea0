/** @file `patchbay coordinator`: the coordinator as a process. Serves one run folder, or sweeps that clients submit. */
import { Command, Option } from "commander";
import { resolve } from "node:path";
import { badInput } from "../base/errors.js";
import { EXIT, exitCodeOfState } from "../base/exit-code.js";
import { wholeNumber } from "../base/whole-number.js";
import { endSignals } from "../wire/parent-process.js";
import { runRole } from "../wire/run-role.js";
import { findEarlierRuns } from "./earlier-runs.js";
import { prepareSubmission } from "./prepare-submission.js";
import { runCoordinator } from "./run-coordinator.js";

interface Flags {
  readonly run?: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly log: string;
  readonly runs: string;
  readonly threads: number;
}

const DEFAULT_LISTEN = "127.0.0.1:7070";

function parseListen(text: string): Flags["listen"] {
  const match = /^(.+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match?.[1] === undefined || port > 65_535)
    throw badInput(`expected HOST:PORT, got ${text}`, { field: "--listen" });
  return { host: match[1], port };
}

const parseThreads = (text: string): number => wholeNumber(text, "--threads", 1, 1024);

function readFlags(): Flags {
  const program = new Command("patchbay coordinator")
    .description("Leases shards to workers, reduces their results, writes the run folder.")
    .option("--run <folder>", "serve this prepared run folder, and end with it; without it, wait for submitted sweeps")
    .addOption(
      new Option("--listen <address>", "HOST:PORT to serve on; port 0: any free one")
        .argParser(parseListen)
        .default(parseListen(DEFAULT_LISTEN), DEFAULT_LISTEN),
    )
    .option("--log <where>", "where workers write results: dir, or nats://HOST:PORT", "dir")
    .option("--runs <folder>", "folder for the run folders of submitted sweeps", "runs")
    .option("--threads <n>", "what engine.threads: auto becomes in submitted sweeps", parseThreads, 1)
    .exitOverride();
  program.parse(process.argv.slice(3), { from: "user" }); // After the name of the role.
  return program.opts();
}

async function main(): Promise<number> {
  const { run, listen, log, runs, threads } = readFlags();
  const { drain, stop } = endSignals();
  const say = (text: string): void => {
    process.stderr.write(`coordinator: ${text}\n`);
  };
  const runsFolder = resolve(runs);
  const status = await runCoordinator({
    ...listen,
    ...(run === undefined
      ? {
          prepare: (request, workers) => prepareSubmission(request, { runsFolder, log, threads }, workers),
          earlier: { runs: findEarlierRuns(runsFolder, say), log },
        }
      : { run: { folder: resolve(run), log } }),
    drain,
    stop,
    say,
    onListening: (port) => {
      if (process.send === undefined) process.stderr.write(`coordinator: listening on ${listen.host}:${port}\n`);
    },
  });
  return status === null ? EXIT.complete : exitCodeOfState(status.state, EXIT.crashed);
}

await runRole("coordinator", main);
