import assert from "node:assert/strict";
import { AT, FIGURES, parseStatRows } from "./stat_rows.ts";

/** HAProxy's own columns come in another order than they are read here, with others between. */
const HEAD = `# pxname,svname,last_chk,type,junk,${[...FIGURES].reverse().join(",")},more`;
const row = (start: string, figures: Partial<Record<(typeof FIGURES)[number], number>> = {}) =>
  `${start},9,${[...FIGURES].reverse().map((name) => figures[name] ?? "").join(",")},9`;

Deno.test("parseStatRows() goes by the names of the columns", () => {
  const csv = [
    HEAD,
    row("egress,FRONTEND,,0", { ereq: 3 }),
    row("no_service,BACKEND,,1", { stot: 4 }),
    row("b001,i1,,2", { stot: 5, ttime_max: 6 }),
    row("b001,listener,,3", { stot: 7 }),
    "",
  ].join("\n");
  const rows = parseStatRows(csv);
  assert.deepEqual(rows.map(({ of, proxy, name }) => [of, proxy, name]), [
    ["frontend", "egress", "FRONTEND"],
    ["backend", "no_service", "BACKEND"],
    ["server", "b001", "i1"],
  ]);
  const figures = (at: number) => FIGURES.filter((figure) => rows[at]?.figures[AT[figure]] !== 0);
  assert.deepEqual([figures(0), figures(1), figures(2)], [["ereq"], ["stot"], ["stot", "ttime_max"]]);
  assert.equal(rows[2]?.figures[AT.ttime_max], 6);
  assert.deepEqual(parseStatRows(csv.trimEnd()), rows, "the last line may have no end");
});

Deno.test("parseStatRows() takes a comma in quotes for what it is", () => {
  const [first] = parseStatRows(`${HEAD}\n${row('b001,i1,"L4CON, ""no route""",2', { econ: 2 })}`);
  assert.deepEqual([first?.of, first?.name, first?.figures[AT.econ]], ["server", "i1", 2]);
});

Deno.test("parseStatRows() refuses what says something else", () => {
  assert.deepEqual(parseStatRows(HEAD), []);
  assert.throws(() => parseStatRows(HEAD.replace("econ", "errors")), /expected a column "econ"/);
  for (const text of ["", "Unknown command.\n"]) assert.throws(() => parseStatRows(text), /expected a column "pxname"/);
});
