/** @file `patchbay doctor`. */
import { spawnSync } from "node:child_process";
import { Command, CommanderError, Option } from "commander";
import { builderFile, BUILDERS } from "../base/entries.js";
import { exitCodeOfCommander } from "../base/exit-code.js";
import { doctorText, examine } from "./doctor.js";

interface Flags {
  readonly json: boolean;
  readonly build?: "torch" | "tensorflow";
  readonly from?: string;
  readonly fetch?: true;
  readonly force?: true;
}

function readFlags(): Flags {
  const program = new Command("patchbay doctor")
    .description("Lists backends, measures them, says what is missing; or builds one.")
    .option("--json", "print the report as JSON", false)
    .addOption(new Option("--build <backend>", "build a native backend").choices(Object.keys(BUILDERS)))
    .option("--from <folder>", "with --build: the folder of libtorch, or of the Python package tensorflow")
    .option("--fetch", "with --build: take PyPI's wheel, unless --from or the environment names a folder")
    .option("--force", "with --build: look for libraries again, and build")
    .exitOverride();
  program.parse(process.argv.slice(3), { from: "user" }); // After the name of the command.
  return program.opts();
}

/** Builds a backend. @returns the exit code. */
function build(backend: keyof typeof BUILDERS, { from, fetch, force }: Flags): number {
  const script = builderFile(backend);
  const flags = [...(from === undefined ? [] : ["--from", from]), ...(fetch ? ["--fetch"] : []), ...(force ? ["--force"] : [])]; // prettier-ignore
  return spawnSync(process.execPath, [script, ...flags], { stdio: "inherit" }).status ?? 1;
}

try {
  const flags = readFlags();
  if (flags.build !== undefined) process.exitCode = build(flags.build, flags);
  else {
    const report = examine();
    process.stdout.write(`${flags.json ? JSON.stringify(report) : doctorText(report)}\n`);
  }
} catch (thrown) {
  if (!(thrown instanceof CommanderError)) throw thrown;
  process.exitCode = exitCodeOfCommander(thrown);
}
