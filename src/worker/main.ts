/** @file `patchbay worker`: a worker as a process. Dials a coordinator and computes shards until it is told to leave. */
import { Command, InvalidArgumentError, Option } from "commander";
import { hostname } from "node:os";
import { resolve } from "node:path";
import { codeVersion } from "../base/code-version.js";
import { BACKENDS, probeBackend, type Backend } from "../backends/backend-probe.js";
import { tfjsVersion } from "../backends/tfjs-version.js";
import { NODE_VERSION } from "../base/environment.js";
import { badInput } from "../base/errors.js";
import { EXIT } from "../base/exit-code.js";
import { memoryMib } from "../base/memory.js";
import { wholeNumber } from "../base/whole-number.js";
import { isAddress } from "../wire/address.js";
import { endSignals } from "../wire/parent-process.js";
import { runRole } from "../wire/run-role.js";
import { runWorker } from "./supervisor.js";

const MAX_MEMORY_MIB = 2 ** 26;
const MAX_STALL_SECONDS = 7 * 24 * 3600;

interface Flags {
  readonly coordinator: string;
  readonly name: string;
  readonly backend: "auto" | Backend;
  readonly log: string;
  readonly model?: string;
  readonly saes?: string;
  readonly memoryMib: number;
  readonly engineStallSeconds: number;
}

function parseLog(text: string): string {
  if (text === "auto" || text === "dir" || text.includes("://")) return text;
  throw badInput(`expected auto or nats://HOST:PORT, got ${text}`, { field: "--log" });
}

function readFlags(): Flags {
  const program = new Command("patchbay worker")
    .description("Computes shards for a coordinator, on one device.")
    .option("--coordinator <address>", "HOST:PORT of the coordinator", address, "127.0.0.1:7070")
    .option("--name <name>", "unique among the coordinator's workers", `${hostname()}-${process.pid}`)
    .addOption(
      new Option("--backend <name>", "what engines compute with; auto: wasm, as any model may come")
        .choices(["auto", ...BACKENDS])
        .default("auto"),
    )
    .option(
      "--log <where>",
      "nats://HOST:PORT of the run log as seen from here; auto: where the coordinator says",
      parseLog,
      "auto",
    )
    .option("--model <folder>", "the model's folder on this machine (default: the sweep's)")
    .option("--saes <folder>", "the SAEs' folder on this machine (default: the sweep's)")
    .option(
      "--memory-mib <n>",
      "memory for this worker; weights that do not fit are read as needed",
      parseMib,
      memoryMib(),
    )
    .option("--engine-stall-seconds <n>", "an engine without progress for this long is killed", parseStall, 120)
    .exitOverride();
  program.parse(process.argv.slice(3), { from: "user" }); // After the name of the role.
  return program.opts();
}

const parseMib = (text: string): number => wholeNumber(text, "--memory-mib", 1, MAX_MEMORY_MIB);
const parseStall = (text: string): number => wholeNumber(text, "--engine-stall-seconds", 1, MAX_STALL_SECONDS);

function address(text: string): string {
  if (isAddress(text)) return text;
  throw new InvalidArgumentError(`expected HOST:PORT, got ${text}`);
}

async function main(): Promise<number> {
  const { coordinator, name, backend, log, model, saes, memoryMib: memory, engineStallSeconds } = readFlags();
  const { drain, stop } = endSignals();
  const probe = probeBackend(backend);
  if (probe.problem !== undefined) process.stderr.write(`${name}: ${probe.problem}\n`);
  const chosen = backend === "auto" ? "wasm" : backend;
  const end = await runWorker({
    coordinator,
    name,
    environment: {
      code: codeVersion(),
      backend: chosen,
      device: probe.device ?? "cpu",
      threads: 0,
      dtype: "",
      node: NODE_VERSION,
      tfjs: tfjsVersion(chosen),
    },
    model: model === undefined ? null : resolve(model),
    saes: saes === undefined ? null : resolve(saes),
    log: log.includes("://") ? log : null,
    memoryMib: memory,
    engineStallMs: engineStallSeconds * 1000,
    drain,
    stop,
    say: (text) => process.stderr.write(`${name}: ${text}\n`),
  });
  if (end.refused) process.stderr.write(`${name}: refused: ${end.reason}\n`);
  return end.refused ? EXIT.badInput : EXIT.complete;
}

await runRole("worker", main);
