/** @file Folders that are written aside, as `NAME.PID.part`, and get their name when they are whole. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isProcessAlive } from "../base/process-alive.js";

const ASIDE = /\.(\d{1,10})\.part$/;

/** An empty folder to write in; first removes what earlier processes left, so that its space is free. */
export function makeAside(folder: string, name: string): string {
  mkdirSync(folder, { recursive: true });
  for (const other of readdirSync(folder)) {
    const [, pid] = ASIDE.exec(other) ?? [];
    if (pid !== undefined && (Number(pid) === process.pid || !isProcessAlive(Number(pid))))
      rmSync(join(folder, other), { recursive: true });
  }
  const aside = join(folder, `${name}.${String(process.pid)}.part`);
  mkdirSync(aside);
  return aside;
}

/** Gives a whole folder its name. Where another process was faster, its folder, which holds the same, stays. */
export function moveIn(aside: string, path: string): void {
  if (existsSync(path)) rmSync(aside, { recursive: true });
  else renameSync(aside, path);
}
