/** @file Measures one backend, which is the only argument, and prints the figures as a line of JSON. For `patchbay doctor`. */
import { BACKENDS } from "./backend-probe.js";
import { startBackend } from "./start-backend.js";
import { measureBackend } from "./measure-backend.js";

const name = BACKENDS.find((known) => known === process.argv[2]);
if (name === undefined) throw new Error(`expected one of ${BACKENDS.join(", ")}`);
await startBackend(name);
const figures = Object.entries(measureBackend()).map(([key, value]) => [key, Number(value.toPrecision(3))]);
process.stdout.write(`${JSON.stringify(Object.fromEntries(figures))}\n`);
