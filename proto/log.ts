/** Log lines: the same shape from every program, one JSON object a line, control characters escaped. */

export type Fields = Readonly<Record<string, unknown>>;

export interface Log {
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
}

/** Takes a line with its end; an `urgent` one before anything else happens. */
type WriteLine = (line: string, urgent: boolean) => void;

/** Logs as `program`, to standard error unless told otherwise. */
export function createLog(program: string, write: WriteLine = toStandardError): Log {
  const line = (level: string, urgent = false) => (message: string, fields: Fields = {}) =>
    write(toLine({ time: new Date().toISOString(), level, program, message }, fields), urgent);
  return { info: line("info"), warn: line("warn"), error: line("error", true) };
}

/** For tests and for programs that bring their own log. */
export const SILENT: Log = { info() {}, warn() {}, error() {} };

/** `own` comes first and cannot be replaced; a log that throws would be worse than a line without its fields. */
function toLine(own: Fields, fields: Fields): string {
  let text;
  try {
    const line: Record<string, unknown> = { ...own, ...fields, ...own };
    // Asking about each value costs more than all else here, and nearly all are texts and revisions.
    for (const name in fields) if (typeof line[name] === "bigint") line[name] = plain(name, line[name]);
    text = Object.values(fields).some(isObject) ? JSON.stringify(line, plain) : JSON.stringify(line);
  } catch (error) {
    text = JSON.stringify({ ...own, unwritable: String(error) });
  }
  return oneLine(text) + "\n";
}

/** JSON that is one line to everybody. */
export function oneLine(json: string): string {
  return json.replace(UNESCAPED, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

// JSON leaves these as they are, but terminals obey them and some readers take them for the end of a line.
const UNESCAPED = /[\u007f-\u009f\u2028\u2029]/g;

function plain(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Error) return value.message;
  return value;
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}

const utf8 = new TextEncoder();

// Beyond this, in characters, a turn of the event loop that never ends would only cost memory.
const MOST_GATHERED = 64 * 1024;

let gathered = "";
let flushesAtExit = false;

/** The lines of one turn of the event loop are one write: a write costs more than making its lines. */
function toStandardError(line: string, urgent: boolean): void {
  if (gathered === "") setImmediate(flush);
  gathered += line;
  if (urgent || gathered.length > MOST_GATHERED) flush();
  if (flushesAtExit) return;
  flushesAtExit = true;
  // The end of the program, and what brings it about when nobody catches it.
  for (const event of ["unload", "error", "unhandledrejection"]) globalThis.addEventListener(event, flush);
}

/** Nothing where standard error takes no more: a log that ends its program would be worse. */
function flush(): void {
  const bytes = utf8.encode(gathered);
  gathered = "";
  try {
    for (let from = 0; from < bytes.length;) from += Deno.stderr.writeSync(bytes.subarray(from));
  } catch {
    // Who was to read it has gone, or the disk is full.
  }
}
