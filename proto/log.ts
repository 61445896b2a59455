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
    write(JSON.stringify({ time: new Date().toISOString(), level, program, message, ...fields }, plain) + "\n");
  return { info: line("info"), warn: line("warn"), error: line("error") };
}

/** For tests and for programs that bring their own log. */
export const SILENT: Log = { info() {}, warn() {}, error() {} };

function plain(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Error) return value.message;
  return value;
}

const utf8 = new TextEncoder();

function toStandardError(line: string): void {
  Deno.stderr.writeSync(utf8.encode(line));
}
