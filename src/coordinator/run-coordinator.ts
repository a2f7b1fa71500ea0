/** @file Runs a coordinator: its gRPC server around the state machine, until its run has ended or it is told to stop. */
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { randomBytes } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { badInput, PatchbayError, toPatchbayError } from "../base/errors.js";
import type { WorkerEnvironment } from "../base/environment.js";
import { whenAborted } from "../base/when-aborted.js";
import type { RunStatus, SubmitReply, SubmitRequest } from "../wire/messages.js";
import { tellParent } from "../wire/parent-process.js";
import { CHANNEL_OPTIONS, clusterService } from "../wire/service.js";
import { clientHandlers } from "./client-service.js";
import { Cluster, type ClusterOptions } from "./cluster.js";
import { isUnfinished, reopen, statusOfEarlier, type EarlierRun, type Reopened } from "./earlier-runs.js";
import { makeReducer } from "./reducer.js";
import { openServedRun, replay, type RunToServe } from "./served-run.js";
import type { AttachCall } from "./sessions.js";
import { DEFAULT_SETTINGS, type Settings } from "./state.js";

/** How long workers may take to close their streams at the end. */
const GOODBYE_MS = 3000;

/** What a coordinator needs. */
export interface CoordinatorOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** The one run of an embedded coordinator, which ends with it. Without it the coordinator serves until it is stopped. */
  readonly run?: RunToServe;
  /** Plans a submitted sweep and prepares its folder, for the workers that are attached. Without it `Submit` is refused. */
  readonly prepare?: (request: SubmitRequest, workers: readonly WorkerEnvironment[]) => Promise<RunToServe>;
  /** Runs that were submitted to an earlier coordinator, oldest first, and where workers write the results of all. */
  readonly earlier?: { readonly runs: readonly EarlierRun[]; readonly log: string };
  /** Stop soon: no new leases, and the end once nothing is in flight. */
  readonly drain?: AbortSignal;
  /** Stop now. What is in flight is lost; everything recorded is kept. */
  readonly stop?: AbortSignal;
  readonly settings?: Partial<Settings>;
  /** Modules that export `reduceStage` and `finishRun`; the product's own by default. */
  readonly reduceModules?: readonly string[];
  readonly onListening?: (port: number) => void;
  /** Takes a line for people. */
  readonly say?: (text: string) => void;
  readonly observe?: ClusterOptions["observe"];
}

/**
 * Runs a coordinator.
 * @returns the run's final status; null for one that was serving without a run of its own.
 * @throws PatchbayError `port_in_use`; `bad_input` for a bad run folder; `nats_unreachable`; `different_plan` or
 *   `different_environment` for foreign records.
 */
export async function runCoordinator(options: CoordinatorOptions): Promise<RunStatus | null> {
  const reducer = makeReducer(options.reduceModules);
  const own = options.run === undefined ? null : await openServedRun(options.run);
  const opened: Reopened[] = [];
  try {
    if (own !== null) reducer.warm(); // Beside the workers' start.
    if (own !== null) opened.push({ run: own, replayed: await replay(own) });
    const others = await reopenAll(options, opened);
    const epochs = opened.map(({ replayed }) => replayed.epoch);
    const cluster = new Cluster({
      settings: { ...DEFAULT_SETTINGS, ...options.settings },
      epoch: Math.max(own === null ? Math.floor(Date.now() / 1000) : 0, ...epochs) + 1,
      nonce: randomBytes(4).toString("hex"),
      reducer,
      single: own !== null,
      say: options.say ?? (() => undefined),
      ...(options.observe === undefined ? {} : { observe: options.observe }),
    });
    for (const status of others) cluster.remember(status);
    const begin = () => opened.map(({ run, replayed }) => cluster.serve(run, replayed));
    return await serve(cluster, options, begin);
  } finally {
    await own?.close(); // It is not among the opened ones where its replay fails.
    for (const { run } of opened) await run.close();
    await reducer.close();
  }
}

/**
 * Opens the runs that an earlier coordinator left unfinished and adds them to `opened`. It does so before anybody is listened
 * to, so that workers find the runs whose shards they hold, and watchers the runs that they watch.
 * @returns the status of those that have ended or cannot be continued.
 */
async function reopenAll(
  { earlier, drain, stop, say = () => undefined }: CoordinatorOptions,
  opened: Reopened[],
): Promise<RunStatus[]> {
  const others: RunStatus[] = [];
  for (const run of earlier?.runs ?? []) {
    if (!isUnfinished(run)) {
      others.push(statusOfEarlier(run));
      continue;
    }
    try {
      const reopened = await reopen({ folder: run.folder, log: earlier?.log ?? "dir" }, [drain, stop], say);
      opened.push(reopened);
      say(`${reopened.run.id} is taken up again, with ${reopened.replayed.records} finished shards`);
    } catch (thrown) {
      const { message } = toPatchbayError(thrown);
      say(`${run.folder} cannot be continued: ${message}`);
      others.push(statusOfEarlier(run, `it cannot be continued: ${message}`));
    }
  }
  return others;
}

async function serve(
  cluster: Cluster,
  options: CoordinatorOptions,
  begin: () => readonly Promise<RunStatus>[],
): Promise<RunStatus | null> {
  const server = makeServer(cluster, options);
  try {
    const port = await listen(server, options.host, options.port);
    stopOnSignals(cluster, options);
    const [first] = begin();
    const ended = options.run === undefined || first === undefined ? untilDrained(cluster, options) : first;
    tellParent({ kind: "listening", host: options.host, port });
    options.onListening?.(port);
    const outcome = await ended;
    if (cluster.dismissed) await cluster.sessions.empty(GOODBYE_MS);
    await finishCalls(server);
    return outcome;
  } finally {
    cluster.driver.stop();
    server.forceShutdown();
  }
}

/** Lets calls end that are going on: watchers still have to hear the final status. */
async function finishCalls(server: Server): Promise<void> {
  const finished = new Promise<void>((resolve) => {
    server.tryShutdown(() => {
      resolve();
    });
  });
  await Promise.race([finished, wait(GOODBYE_MS, undefined, { ref: false })]);
}

function stopOnSignals(cluster: Cluster, { drain, stop }: CoordinatorOptions): void {
  whenAborted(drain, () => {
    cluster.dispatch({ kind: "drain", now: false });
  });
  whenAborted(stop, () => {
    cluster.dispatch({ kind: "drain", now: true });
  });
}

async function untilDrained(cluster: Cluster, { drain, stop }: CoordinatorOptions): Promise<null> {
  await new Promise<void>((resolve) => {
    whenAborted(drain, resolve);
    whenAborted(stop, resolve);
  });
  await cluster.settled();
  return null;
}

function makeServer(cluster: Cluster, { prepare }: CoordinatorOptions): Server {
  const server = new Server(CHANNEL_OPTIONS);
  const submit = async (request: SubmitRequest): Promise<SubmitReply> => {
    if (prepare === undefined) {
      throw new PatchbayError(
        "bad_input",
        "this coordinator serves one run and takes no other; start one without --run",
      );
    }
    const run = await openServedRun(await prepare(request, cluster.environments()));
    const { folder, id, file } = run;
    if (file.status === "complete") cluster.remember(statusOfEarlier({ folder, file }));
    if (file.status !== "complete" && (await cluster.mayServe(run))) void cluster.serve(run, await replay(run));
    else await run.close();
    return { run: id, folder };
  };
  server.addService(clusterService, {
    attach: (call: AttachCall) => {
      cluster.sessions.accept(call);
    },
    ...clientHandlers(cluster, submit),
  });
  return server;
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(bindError(host, port, error));
    });
  });
}

function bindError(host: string, port: number, cause: Error): PatchbayError {
  const place = `${host}:${port}`;
  if (cause.message.includes("EADDRINUSE")) {
    const message = `port ${port} on ${host} is in use by another process; stop it, or choose another port`;
    return new PatchbayError("port_in_use", message, { cause });
  }
  return badInput(`cannot listen on ${place}: ${cause.message}; choose another address`, { field: "--listen" }, cause);
}
