import type { Io } from "./command.ts";

/** How far long work has come, on standard error, until disposed. What is over in a moment says nothing. */
export interface Progress extends Disposable {
  /** What there is to say now; most of it is never shown. */
  readonly now: (text: string) => void;
}

/** On a terminal one line that is written anew, elsewhere a plain line now and then, each with the command's name. */
export function progress(
  { err, lookedOn = false }: Pick<Io, "err" | "lookedOn">,
  command: string,
  clock = () => performance.now(),
): Progress {
  const everyMs = lookedOn ? 100 : 5_000;
  let next = clock() + (lookedOn ? 500 : everyMs);
  let shown = false;
  return {
    now(text) {
      if (clock() < next) return;
      next = clock() + everyMs;
      shown = true;
      const line = `portolan ${command}: ${text}`;
      err(lookedOn ? `${CLEAR}${line}` : `${line}\n`);
    },
    [Symbol.dispose]() {
      if (shown && lookedOn) err(CLEAR);
    },
  };
}

/** To the first column, and the line is empty. */
const CLEAR = "\r\x1b[K";
