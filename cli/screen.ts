/** The terminal taken by one program, until disposed: then it is as it was before. */
export interface Screen extends Disposable {
  /** Shows the text in place of what was there, cut at the edges. */
  readonly draw: (text: string) => void;
  /** What fits. */
  readonly size: () => Size;
  /** Resolves when q was pressed. */
  readonly quit: Promise<void>;
}

/** In characters and lines. */
export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** Takes standard input and output, which must be a terminal. Ctrl-C stays a signal. */
export function openScreen(): Screen {
  Deno.stdin.setRaw(true, { cbreak: true });
  write(ALTERNATE);
  const closing = new AbortController();
  return {
    draw: (text) => write(frame(text, size())),
    size,
    quit: pressed("q", closing.signal),
    [Symbol.dispose]() {
      if (closing.signal.aborted) return;
      closing.abort();
      write(NORMAL);
      Deno.stdin.setRaw(false);
    },
  };
}

/** Text as it fills a terminal from its corner, what was there before wiped, and no line end that makes it scroll. */
export function frame(text: string, { columns, rows }: Size): string {
  const lines = text.trimEnd().split("\n").slice(0, rows).map((line) =>
    WIPE_LINE + [...line].slice(0, columns).join("")
  );
  return HOME + lines.join("\r\n") + WIPE_BELOW;
}

const ALTERNATE = "\x1b[?1049h\x1b[?25l";
const NORMAL = "\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const WIPE_LINE = "\x1b[K";
const WIPE_BELOW = "\x1b[J";

/** Of the terminal now; one that does not know is taken for the usual one. */
function size(): Size {
  const { columns, rows } = Deno.consoleSize();
  return { columns: columns || 80, rows: rows || 24 };
}

function write(text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
}

async function pressed(key: string, signal: AbortSignal): Promise<void> {
  const bytes = new Uint8Array(64);
  while (!signal.aborted) {
    const length = await Deno.stdin.read(bytes);
    // Nobody is left who could press it: the program is about to get a signal.
    if (length === null) return;
    if (new TextDecoder().decode(bytes.subarray(0, length)).includes(key)) return;
  }
}
