/** @file `patchbay calibrate BACKEND`: measures an engine's speeds for an estimate. Reads what to measure from standard input, prints JSON. */
import { text } from "node:stream/consumers";
import { badInput } from "../base/errors.js";
import { calibrationRequestSchema } from "../cost/rates.js";
import { BACKENDS, startBackend } from "./backends/wasm.js";
import { calibrate } from "./calibrate.js";
import { probe } from "./probe.js";

const name = BACKENDS.find((known) => known === process.argv[3]);
if (name === undefined) throw badInput(`expected one of ${BACKENDS.join(", ")}, got ${String(process.argv[3])}`);
const request = calibrationRequestSchema.parse(JSON.parse(await text(process.stdin)));
await startBackend(name);
const rates = calibrate(request, process.memoryUsage().rss);
const corrections = request.probe === undefined ? {} : await probe(request.probe, rates);
process.stdout.write(JSON.stringify({ ...rates, corrections }));
