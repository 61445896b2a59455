/**
 * A time as RFC 3339 has it, as wall clock in ms; `undefined` for anything else. Finer than ms is cut off, so that it is
 * never later than what was said.
 */
export function parseTime(text: string): number | undefined {
  const ms = RFC_3339.test(text) && isDay(text.slice(0, 10)) ? Date.parse(text) : NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

// Of a day, 24:00 is the next one's to say.
const RFC_3339 = /^\d{4}-\d\d-\d\dT(?!24)\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/i;

/** A day that its month does not have would be taken for another one. */
function isDay(day: string): boolean {
  const date = new Date(`${day}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day);
}
