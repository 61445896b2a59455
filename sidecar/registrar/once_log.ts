import type { Fields, Log } from "../../proto/log.ts";

/** A log in which a warning stands once, until something goes well or another reason comes. */
export function onceLog(log: Log): Log {
  const told = new Map<string, string>();
  return {
    info(message: string, fields?: Fields) {
      told.clear();
      log.info(message, fields);
    },
    warn(message: string, fields?: Fields) {
      const reason = String(fields?.["reason"]);
      if (told.get(message) === reason) return;
      told.set(message, reason);
      log.warn(message, fields);
    },
    error: (message: string, fields?: Fields) => log.error(message, fields),
  };
}
