/** @file Before the browser suites: fetches a Chromium if the machine has none. */
import { obtainChromium } from "../../scripts/chromium.js";

/** Runs once, in the main process. */
export default function setup(): void {
  const { problem } = obtainChromium();
  if (problem !== undefined) console.error(problem);
}
