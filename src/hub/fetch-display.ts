/** @file How far a fetch is: a line that is written over on a terminal, else one line now and then. */
import { performance } from "node:perf_hooks";
import { formatSeconds } from "../base/format-seconds.js";
import type { OnFetchProgress } from "./fetch-files.js";

const BAR = 24;
const ON_TERMINAL_MS = 200;
const ELSEWHERE_MS = 10_000;

/** A stream for people, such as standard error. */
export interface Screen {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Shows a fetch. */
export interface FetchDisplay {
  readonly show: OnFetchProgress;
  /** Writes a line of its own. */
  readonly say: (text: string) => void;
  /** Ends the line that is written over. */
  readonly end: () => void;
}

/** Starts a display. */
export function showFetch(screen: Screen): FetchDisplay {
  const onTerminal = screen.isTTY === true;
  let shownAt = onTerminal ? -Infinity : performance.now();
  let began: { readonly at: number; readonly bytes: number } | null = null;
  let open = false;
  const end = (): void => {
    if (open) screen.write("\n");
    open = false;
  };
  return {
    show: ({ path, done, total }) => {
      const now = performance.now();
      began ??= { at: now, bytes: done };
      if (done < total && now - shownAt < (onTerminal ? ON_TERMINAL_MS : ELSEWHERE_MS)) return;
      shownAt = now;
      const line = fetchLine(path, done, total, (done - began.bytes) / Math.max(1e-3, (now - began.at) / 1000));
      screen.write(onTerminal ? `\r\x1b[K${line}` : `${line}\n`);
      open = onTerminal;
    },
    say: (text) => {
      end();
      screen.write(`${text}\n`);
    },
    end,
  };
}

/** `[######··········] 37 %  1.9 of 5.2 GB  84 MB/s, about 40 s left  model-00001-of-00002.safetensors`. */
export function fetchLine(path: string, done: number, total: number, bytesPerSecond: number): string {
  const share = total === 0 ? 1 : done / total;
  const filled = Math.round(share * BAR);
  const left =
    done < total && bytesPerSecond > 0 ? `, about ${formatSeconds((total - done) / bytesPerSecond)} left` : "";
  const amount = `${(done / 1e9).toFixed(2)} of ${(total / 1e9).toFixed(2)} GB`;
  return `[${"#".repeat(filled)}${"·".repeat(BAR - filled)}] ${Math.floor(share * 100)} %  ${amount}  ${(bytesPerSecond / 1e6).toFixed(1)} MB/s${left}  ${path}`;
}
