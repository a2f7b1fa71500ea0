/**
 * @file Preloaded into every process of a run: writes down how the process ended and what it still held.
 *
 * `beforeExit` fires only when nothing is left that could happen: no timer, socket, server, child or pending call.
 */
import { readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const folder = process.env["PATCHBAY_TEST_ENDS"];
if (folder !== undefined) {
  let natural = false;
  let held = [];
  let files = [];
  process.on("beforeExit", () => {
    natural = true;
    held = process.getActiveResourcesInfo();
    files = openFiles();
  });
  process.on("exit", (code) => {
    const end = { args: process.argv.slice(1), code, natural, held, files };
    writeFileSync(join(folder, `${process.pid}.json`), JSON.stringify(end));
  });
}

/** Files and folders that are open; no pipes, sockets or devices. */
function openFiles() {
  return readdirSync("/proc/self/fd").flatMap((descriptor) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${descriptor}`);
      return path.startsWith("/") && !path.startsWith("/dev/") && !path.startsWith("/proc/") ? [path] : [];
    } catch {
      return []; // It was the folder of this very listing.
    }
  });
}
