/** @file Sweep files that are one sweep together: `patchbay run model.yaml experiment.yaml`. */
import { dirname, resolve } from "node:path";
import { readTextFile } from "../base/read-file.js";

/** A file of a sweep, and the line of the joined text that it begins at, from 1. */
export interface SweepFile {
  readonly file: string;
  readonly firstLine: number;
}

/** The text of a sweep. */
export interface SweepText {
  readonly text: string;
  /** Its name, for errors. */
  readonly file: string;
  /** Relative paths in the sweep start here. */
  readonly baseFolder: string;
  /** The files that it is joined of, in order; absent where it is one. */
  readonly files?: readonly SweepFile[];
}

/**
 * Reads sweep files and puts their fields together. A field is in one file only. Relative paths start at the folder of the first.
 * @throws PatchbayError `bad_input` where one cannot be read.
 */
export function readSweepFiles(paths: readonly string[]): SweepText {
  const files: SweepFile[] = [];
  let text = "";
  for (const file of paths) {
    files.push({ file, firstLine: text.split("\n").length });
    const own = readTextFile(file);
    text += own.endsWith("\n") ? own : `${own}\n`;
  }
  const file = paths.join(" + ");
  return { text, file, baseFolder: resolve(dirname(paths[0] ?? "")), ...(paths.length > 1 ? { files } : {}) };
}

/** Where a line of the joined text stands. */
export function placeInFiles(
  { file, files = [] }: Pick<SweepText, "file" | "files">,
  line: number,
): { file: string; line: number } {
  const own = files.findLast(({ firstLine }) => firstLine <= line);
  return own === undefined ? { file, line } : { file: own.file, line: line - own.firstLine + 1 };
}
