/** @file Where progress is shown: on a terminal one line that is written over, elsewhere a line every minute. */

/** What a progress line is written to, such as standard output. */
export interface ProgressScreen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Shows how far a run is, between other lines. */
export interface ProgressDisplay {
  readonly show: (line: string) => void;
  /** Writes a line of its own. */
  readonly say: (text: string) => void;
  /** Takes the progress line away. */
  readonly end: () => void;
}

const ELSEWHERE_MS = 60_000;
const COLUMNS = 80;
const CLEAR = "\r\x1b[K";

/** Starts a display. @param now - milliseconds of a clock. */
export function openProgress(screen: ProgressScreen, now: () => number = () => performance.now()): ProgressDisplay {
  return screen.isTTY === true ? onTerminal(screen) : elsewhere(screen, now);
}

/** The line never wraps: what is on two lines cannot be written over. */
function onTerminal(screen: ProgressScreen): ProgressDisplay {
  let shown = "";
  const end = (): void => {
    if (shown !== "") screen.write(CLEAR);
    shown = "";
  };
  const show = (line: string): void => {
    const { columns = 0 } = screen; // 0 where a terminal does not say.
    shown = line.slice(0, (columns > 0 ? columns : COLUMNS) - 1);
    screen.write(`${CLEAR}${shown}`);
  };
  const say = (text: string): void => {
    const before = shown;
    end();
    screen.write(`${text}\n`);
    if (before !== "") show(before);
  };
  return { show, say, end };
}

function elsewhere(screen: ProgressScreen, now: () => number): ProgressDisplay {
  let shownAt = -Infinity;
  return {
    show: (line) => {
      if (now() - shownAt < ELSEWHERE_MS) return;
      shownAt = now();
      screen.write(`${line}\n`);
    },
    say: (text) => {
      screen.write(`${text}\n`);
    },
    end: () => undefined,
  };
}
