/** @file Commands that talk to a running coordinator: submit, status, watch, cancel. */
import { existsSync } from "node:fs";
import { badInput, PatchbayError } from "../base/errors.js";
import { EXIT, exitCodeOfState } from "../base/exit-code.js";
import { runPaths } from "../run/run-folder.js";
import { isAddress } from "../wire/address.js";
import { readSweepFiles } from "../sweep/sweep-files.js";
import { type ClusterClient, connectCluster } from "../wire/cluster-client.js";
import type { ClusterStatus, RunStatus } from "../wire/messages.js";
import { followRun } from "./follow-run.js";
import { progressLine } from "./progress.js";
import { openProgress } from "./progress-display.js";

/** Options that every client command has. */
export interface ClientOptions {
  /** `HOST:PORT`. */
  readonly coordinator: string;
  readonly json: boolean;
}

/** How long `watch` waits for a coordinator that is being restarted, perhaps on another machine. */
const PATIENCE_MS = 60 * 60_000;

const print = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

/** Gives a sweep to the coordinator, which plans and queues it. Relative paths start at the folder of the first file. */
export async function submitCommand(
  sweepFiles: readonly string[],
  options: ClientOptions & { readonly allowPartial: boolean; readonly fresh: boolean },
): Promise<void> {
  const { text: sweep, file, baseFolder, files = [] } = readSweepFiles(sweepFiles);
  const reply = await withClient(options, (client) =>
    client.submit({ sweep, baseFolder, allowPartial: options.allowPartial, file, files, fresh: options.fresh }),
  );
  print(
    options.json
      ? JSON.stringify(reply)
      : `run ${reply.run} in ${reply.folder} on the coordinator\nfollow it: patchbay watch ${reply.run} --coordinator ${options.coordinator}`,
  );
}

/** Prints runs, stages with what they wait for, and workers. */
export async function statusCommand(run: string, options: ClientOptions): Promise<void> {
  const status = await withClient(options, (client) => client.status(run));
  print(options.json ? JSON.stringify(status) : statusText(status));
}

/** Follows a run to its end. @returns the exit code of its final state. */
export async function watchCommand(given: string, options: ClientOptions): Promise<number> {
  const { coordinator, json } = options;
  const run = await fullName(given, options); // Patience is for a coordinator that was there.
  const display = openProgress(process.stdout);
  let told = "";
  const tell = (status: RunStatus): void => {
    const next = JSON.stringify(status);
    if (next !== told) print(next);
    told = next;
  };
  const show = json
    ? tell
    : (status: RunStatus): void => {
        display.show(progressLine(status));
      };
  const onAway = (): void => {
    display.end();
    process.stderr.write(`the coordinator at ${coordinator} is away; waiting for it to come back\n`);
  };
  const last = await followRun(coordinator, run, show, { patienceMs: PATIENCE_MS, onAway }).finally(display.end);
  if (last === undefined) return EXIT.failed;
  if (!json) print([`${last.state}${last.reason === "" ? "" : `: ${last.reason}`}`, ...reportLine(last)].join("\n"));
  return exitCodeOfState(last.state, EXIT.failed);
}

/** The name that is meant by its beginning: another run may begin with it before this one ends. */
async function fullName(given: string, options: ClientOptions): Promise<string> {
  const { runs } = await withClient(options, (client) => client.status(given));
  return runs[0]?.run ?? given;
}

/** Where the report is. A coordinator's folder that is not here is on its own machine. */
function reportLine({ state, folder }: RunStatus): string[] {
  const { report } = runPaths(folder);
  if (existsSync(report)) return [`report: ${report}`];
  return state === "complete" || state === "partial" ? [`report: ${report} on the coordinator's machine`] : [];
}

/** Stops a run. What is computed stays in its folder. */
export async function cancelCommand(given: string, options: ClientOptions): Promise<void> {
  const run = await fullName(given, options);
  const { state } = await withClient(options, (client) => client.cancel(run));
  print(options.json ? JSON.stringify({ run, state }) : `${run}: ${state}`);
}

/** One block of text for each run, then the workers. */
function statusText({ runs, workers }: ClusterStatus): string {
  const lines = runs.flatMap((run) => [
    `run ${run.run} (${run.name}): ${run.state}${run.reason === "" ? "" : ` (${run.reason})`}`,
    ...run.stages.map(
      ({ stage, state, done, shards, reasons }) =>
        `  ${stage.padEnd(20)} ${state.padEnd(9)} ${done}/${shards}${reasons.map(({ reason, shards: count }) => `; ${count} ${reason}`).join("")}`,
    ),
    ...run.quarantined.map(({ shard, message }) => `  gave up ${shard}: ${message}`),
    ...run.warnings.map((warning) => `  warning: ${warning}`),
  ]);
  if (runs.length === 0) lines.push("no runs");
  for (const { worker, state, reason, completed, engine } of workers) {
    const doing =
      engine === null ? "no engine" : `engine ${engine.phase}${engine.shard === "" ? "" : ` ${engine.shard}`}`;
    lines.push(`worker ${worker}: ${state}${reason === "" ? "" : ` (${reason})`}, ${completed} shards done, ${doing}`);
  }
  if (workers.length === 0) lines.push("no workers");
  return lines.join("\n");
}

async function withClient<T>({ coordinator }: ClientOptions, use: (client: ClusterClient) => Promise<T>): Promise<T> {
  if (!isAddress(coordinator)) throw badInput(`expected HOST:PORT, got ${coordinator}`, { field: "--coordinator" });
  const client = connectCluster(coordinator);
  try {
    return await use(client);
  } catch (thrown) {
    if (!(thrown instanceof PatchbayError) || thrown.code !== "coordinator_unreachable") throw thrown;
    const message = `no coordinator answers at ${coordinator}; start one (patchbay coordinator), or name it with --coordinator HOST:PORT`;
    throw new PatchbayError("coordinator_unreachable", message, { cause: thrown });
  } finally {
    client.close();
  }
}
