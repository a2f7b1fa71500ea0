/** @file `patchbay calibrate BACKEND`: measures an engine's speeds for an estimate. Reads what to run from standard input, prints JSON. */
import { text } from "node:stream/consumers";
import { BACKENDS } from "../backends/backend-probe.js";
import { badInput } from "../base/errors.js";
import { readProbeRequest, type Rates } from "../cost/rates.js";
import { startBackend } from "../backends/start-backend.js";
import { probe } from "./probe.js";
import { loadRegister } from "../experiments/load-register.js";

const name = BACKENDS.find((known) => known === process.argv[3]);
if (name === undefined) throw badInput(`expected one of ${BACKENDS.join(", ")}, got ${String(process.argv[3])}`);
const request = readProbeRequest(await text(process.stdin));
await startBackend(name);
const baseBytes = process.memoryUsage().rss;
const rates: Rates = { corrections: await probe((await loadRegister()).experiments, request), baseBytes };
process.stdout.write(JSON.stringify(rates));
