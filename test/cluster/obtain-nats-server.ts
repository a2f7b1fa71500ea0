/** @file Before the cluster suites: fetches a nats-server if the machine has none. */
import { obtainNatsServer } from "../../scripts/nats-server.js";

/** Runs once, in the main process. */
export default function setup(): void {
  const { problem } = obtainNatsServer();
  if (problem !== undefined) console.error(problem);
}
