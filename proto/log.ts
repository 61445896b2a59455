/** Log lines: the same shape from every program, one JSON object a line, control characters escaped. */

export type Fields = Readonly<Record<string, unknown>>;

export interface Log {
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
}

/** Logs as `program`; `write` gets each line with its end (standard error unless told otherwise). */
export function createLog(program: string, write: (line: string) => void = toStandardError): Log {
  const line = (level: string) => (message: string, fields: Fields = {}) =>
    write(toLine({ time: new Date().toISOString(), level, program, message }, fields));
  return { info: line("info"), warn: line("warn"), error: line("error") };
}

/** For tests and for programs that bring their own log. */
export const SILENT: Log = { info() {}, warn() {}, error() {} };

/** `own` comes first and cannot be replaced; a log that throws would be worse than a line without its fields. */
function toLine(own: Fields, fields: Fields): string {
  let text;
  try {
    text = JSON.stringify({ ...own, ...fields, ...own }, plain);
  } catch (error) {
    text = JSON.stringify({ ...own, unwritable: String(error) });
  }
  return text.replace(UNESCAPED, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`) + "\n";
}

// JSON leaves these as they are, but terminals obey them and some readers take them for the end of a line.
const UNESCAPED = /[\u007f-\u009f\u2028\u2029]/g;

function plain(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Error) return value.message;
  return value;
}

const utf8 = new TextEncoder();

function toStandardError(line: string): void {
  Deno.stderr.writeSync(utf8.encode(line));
}
