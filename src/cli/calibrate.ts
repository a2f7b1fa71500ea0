/** @file Measures engine speeds in processes of their own, as many at once as there will be workers. */
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { threadSettings } from "../backends/thread-settings.js";
import { must } from "../base/assert.js";
import { COMMAND } from "../base/entries.js";
import { PatchbayError } from "../base/errors.js";
import { meanOf, type ProbeRequest, type Rates, ratesSchema, writeProbeRequest } from "../cost/rates.js";

/** Where to measure. */
export interface CalibrationPlace {
  readonly backend: string;
  readonly threads: number;
  readonly workers: number;
}

/**
 * Speeds of one engine while `workers` of them compute at once.
 * @throws PatchbayError `application` where a measuring process fails.
 */
export async function calibrate(request: ProbeRequest, place: CalibrationPlace): Promise<Rates> {
  return joined(await Promise.all(Array.from({ length: place.workers }, () => calibrateOne(request, place))));
}

async function calibrateOne(request: ProbeRequest, { backend, threads }: CalibrationPlace): Promise<Rates> {
  const env = { ...process.env, ...threadSettings(threads) };
  const child = spawn(process.execPath, [COMMAND, "calibrate", backend], { env, stdio: ["pipe", "pipe", "pipe"] });
  const ended = new Promise<number | null>((resolve, reject) => child.once("error", reject).once("close", resolve));
  child.stdin.on("error", () => undefined).end(writeProbeRequest(request)); // A process that dies early is reported below.
  const [code, printed, said] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  if (code === 0) return ratesSchema.parse(JSON.parse(printed));
  const why = said.trim().split("\n").at(-1) ?? "";
  throw new PatchbayError(
    "application",
    `measuring the ${backend} backend failed with exit code ${String(code)}: ${why}`,
  );
}

/** Rates that give the mean time of each program. */
function joined(all: readonly Rates[]): Rates {
  const kinds = Object.keys(must(all[0], "rates").corrections);
  return {
    corrections: Object.fromEntries(
      kinds.map((kind) => [kind, meanOf(all.map(({ corrections }) => must(corrections[kind], "correction")))]),
    ),
    baseBytes: Math.max(...all.map(({ baseBytes }) => baseBytes)),
  };
}
