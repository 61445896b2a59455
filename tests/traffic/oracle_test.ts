import assert from "node:assert/strict";
import { type Arrived, type Kind, KINDS, type Sent } from "./ledger.ts";
import { judge, MOST_REQUESTS } from "./oracle.ts";

const BASE = 3 * MOST_REQUESTS;
const INSTANCES = [
  { id: "i1", service: "identity", version: 1 },
  { id: "i2", service: "identity", version: 2 },
  { id: "o1", service: "orders", version: 1 },
];

interface Row {
  readonly kind?: Kind;
  readonly service?: string;
  readonly outcome?: string;
  readonly took?: number;
}

/** A request every 10 ms from 1 000 on. */
function sent(...rows: readonly Row[]): Sent {
  const services = ["identity", "orders", "v2.identity", "canary.identity"];
  const outcomes = ["ok", "left", "status:503", "eof_idle"];
  return {
    base: BASE,
    origin: 1_000,
    services,
    outcomes,
    kind: rows.map(({ kind = "kept" }) => KINDS.indexOf(kind)),
    service: rows.map(({ service = "identity" }) => services.indexOf(service)),
    at: rows.map((_, row) => row * 10),
    outcome: rows.map(({ outcome = "ok" }) => outcomes.indexOf(outcome)),
    took: rows.map(({ took = 1 }) => took),
    resent: [],
    details: [],
  };
}

/** Each row of what was sent, and the instance at which it arrives. */
function arrived(...rows: readonly (readonly [row: number, instance: string])[]): Arrived {
  return {
    origin: 1_000,
    instances: INSTANCES,
    id: rows.map(([row]) => BASE + row),
    at: rows.map(([row]) => row * 10 + 1),
    instance: rows.map(([, instance]) => INSTANCES.findIndex(({ id }) => id === instance)),
    connection: rows.map(() => 1),
  };
}

function problems(sent: Sent, arrived: Arrived): readonly string[] {
  return judge(sent, arrived).problems.map(({ what, request, instances }) =>
    `${what} ${request.id - BASE} at ${instances.join()}`
  );
}

Deno.test("judge() finds nothing where every request arrived once at an instance of its service", () => {
  const all = sent({}, { service: "orders" }, { service: "v2.identity" }, { service: "canary.identity" });
  assert.deepEqual(problems(all, arrived([1, "o1"], [0, "i1"], [3, "i2"], [2, "i2"])), []);
});

Deno.test("judge() finds what was lost", () => {
  assert.deepEqual(problems(sent({}, {}), arrived([1, "i1"])), ["lost 0 at "]);
  assert.deepEqual(problems(sent({ outcome: "left" }), arrived()), [], "who was left may not have come far");
});

Deno.test("judge() finds what was doubled, whether the sender noticed anything or not", () => {
  assert.deepEqual(problems(sent({}), arrived([0, "i1"], [0, "i2"])), ["doubled 0 at i1,i2"]);
  assert.deepEqual(problems(sent({ outcome: "eof_idle" }), arrived([0, "i1"], [0, "i1"])), [
    "failed 0 at i1,i1",
    "doubled 0 at i1,i1",
  ]);
});

Deno.test("judge() finds what arrived at another service or version, though its answer looked right", () => {
  assert.deepEqual(problems(sent({}), arrived([0, "o1"])), ["misrouted 0 at o1"]);
  assert.deepEqual(problems(sent({ service: "v2.identity" }), arrived([0, "i1"])), ["misrouted 0 at i1"]);
});

Deno.test("judge() finds what arrived and was never sent, and leaves other traffic alone", () => {
  assert.deepEqual(problems(sent({}), arrived([0, "i1"], [1, "i2"])), ["unsent 1 at i2"]);
  assert.deepEqual(problems(sent({}), arrived([0, "i1"], [-BASE, "i1"], [-1, "i1"], [MOST_REQUESTS, "i1"])), []);
});

Deno.test("judge() finds what failed, arrived or not, and names it", () => {
  const all = sent({}, { outcome: "status:503" }, { kind: "post", outcome: "eof_idle" });
  const { failed, problems, text } = judge({ ...all, details: [[2, "why"]] }, arrived([0, "i1"], [2, "i2"]));
  assert.equal(failed, 2);
  assert.deepEqual(problems.map(({ what, request, instances }) => ({ what, ...request, instances })), [
    {
      what: "failed",
      id: BASE + 1,
      kind: "kept",
      service: "identity",
      outcome: "status:503",
      detail: "",
      at: 1_010,
      tookMs: 1,
      instances: [],
    },
    {
      what: "failed",
      id: BASE + 2,
      kind: "post",
      service: "identity",
      outcome: "eof_idle",
      detail: "why",
      at: 1_020,
      tookMs: 1,
      instances: ["i2"],
    },
  ]);
  assert.match(
    text,
    /failed: post request 3000000002 for identity, sent after 0\.020 s: eof_idle \(why\), arrived at i2$/,
  );
});

Deno.test("judge() names the first problems only", () => {
  const { text } = judge(sent(...Array(23).fill({ outcome: "status:503" })), arrived());
  assert.equal(text.split("\n").filter((line) => line.startsWith("failed: ")).length, 20);
  assert.match(text, /\nand 3 more$/);
});

Deno.test("routedTo() finds who was sent after an instance was to get nothing, and came there", () => {
  const verdict = judge(sent({}, {}, {}, {}), arrived([0, "i1"], [1, "i2"], [2, "i1"], [3, "i1"]));
  const ids = (from: number, to?: number) => verdict.routedTo("i1", from, to).map(({ id }) => id - BASE);
  assert.deepEqual(ids(1_000), [0, 2, 3]);
  assert.deepEqual(ids(1_011), [2, 3]);
  assert.deepEqual(ids(1_011, 1_030), [2]);
  assert.deepEqual(ids(1_011, 1_021), [], "it arrived just then");
  assert.deepEqual(ids(1_031), []);
  assert.deepEqual(verdict.routedTo("i2", 1_011), []);
});

Deno.test("okSince() tells from when on requests come through again", () => {
  const verdict = judge(sent({}, { outcome: "status:503" }, {}), arrived([0, "i1"], [2, "i1"]));
  assert.equal(verdict.okSince(1_001), 1_020);
  assert.equal(verdict.okSince(1_021), undefined);
});

Deno.test("judge() counts by kind", () => {
  const all = sent({ took: 1 }, { took: 3 }, { took: 2 }, { outcome: "eof_idle" }, { kind: "stream", outcome: "left" });
  const { kinds, sent: count, perSecond } = judge(
    { ...all, resent: [[1, 2]] },
    arrived([0, "i1"], [1, "i1"], [2, "i1"]),
  );
  assert.deepEqual(kinds, {
    kept: { sent: 4, ok: 3, failed: 1, left: 0, resent: 2, p50: 2, p99: 3 },
    stream: { sent: 1, ok: 0, failed: 0, left: 1, resent: 0, p50: NaN, p99: NaN },
  });
  assert.equal(count, 5);
  assert.equal(perSecond, 100);
});
