import assert from "node:assert/strict";
import { parseTime } from "./time.ts";

Deno.test("parseTime() reads times of RFC 3339, cut to ms", () => {
  const noon = Date.UTC(2026, 0, 31, 12);
  const good: readonly [text: string, ms: number][] = [
    ["2026-01-31T12:00:00Z", noon],
    ["2026-01-31t12:00:00z", noon],
    ["2026-01-31T14:30:00+02:30", noon],
    ["2026-01-31T12:00:00.123999999Z", noon + 123],
    ["2028-02-29T00:00:00Z", Date.UTC(2028, 1, 29)],
    ["1970-01-01T00:00:00Z", 0],
  ];
  for (const [text, ms] of good) assert.equal(parseTime(text), ms, text);
});

Deno.test("parseTime() takes nothing else, and no day for another one", () => {
  for (
    const text of [
      "",
      "7",
      "2026-01-31",
      "2026-01-31T12:00:00",
      "2026-01-31 12:00:00Z",
      "2026-01-31T12:00Z",
      "2026-01-31T12:00:00+0100",
      "2026-01-31T12:00:00.Z",
      "2026-01-31T12:00:00.1234567890Z",
      "+02026-01-31T12:00:00Z",
      "2026-13-01T00:00:00Z",
      "2026-00-01T00:00:00Z",
      "2026-02-30T00:00:00Z",
      "2027-02-29T00:00:00Z",
      "2026-01-31T24:00:00Z",
      "2026-01-31T25:00:00Z",
      "2026-01-31T12:60:00Z",
    ]
  ) assert.equal(parseTime(text), undefined, text);
});
