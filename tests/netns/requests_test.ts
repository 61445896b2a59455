import assert from "node:assert/strict";
import { type Arrival, CLOSED, type Cut, judge, type Outcome, type Verdict } from "./requests.ts";

const BEGUN = 10_000;
/** Host c is cut off for 10 s. */
const CUT: Cut = {
  begun: BEGUN,
  made: BEGUN + 20,
  healed: BEGUN + 10_000,
  separates: (one, other) => one !== other && [one, other].includes("c"),
};
const PLACED = new Map([["one", ["c"]], ["two", ["b", "c"]], ["three", ["a", "b", "c"]]]);

const answered = (instance: string) => ({ answer: { status: 200, notProcessed: false, instance } });
const refused = (error: string) => ({ answer: { status: 503, notProcessed: true, error } });
const silent = { failure: "no answer in time" };
const closed = { failure: CLOSED };

/** From host a to service two on a new connection, 5 s after the cut, unless told otherwise. */
function judged(init: Partial<Outcome>, ...arrivals: readonly string[]): Verdict | "fault" {
  const outcome: Outcome = { id: "r", from: "a", service: "two", kept: false, at: BEGUN + 5_000, ms: 1_000, ...init };
  const arrived = arrivals.map((instance): Arrival => ({ id: "r", at: outcome.at, instance }));
  const verdict = judge(outcome, { placed: PLACED, cuts: [CUT], arrivals: new Map([["r", arrived]]) });
  if (!(verdict instanceof Error)) return verdict;
  assert.match(
    verdict.message,
    /^Request r of [ac] to (?:one|two|three) at 1970-01-01T00:00:\S+Z on a (?:new|kept) connection: /,
  );
  return "fault";
}

Deno.test("judge() holds an answer against the one arrival that it needs", () => {
  assert.equal(judged(answered("two/b"), "two/b"), "answered");
  assert.equal(judged(answered("two/b")), "fault");
  assert.equal(judged(answered("two/b"), "two/c"), "fault");
  assert.equal(judged(answered("two/b"), "two/b", "two/b"), "fault");
  assert.equal(judged({ answer: { status: 502, notProcessed: false } }), "fault");
});

Deno.test("judge() allows no failure where three tries must meet an instance", () => {
  for (const outcome of [refused("connect"), refused("no_instances"), silent, closed, { ...closed, kept: true }]) {
    // Of two instances one is beyond the cut; away from the cut, and before and after it, none is.
    assert.equal(judged(outcome), "fault");
    for (const at of [BEGUN - 5_000, CUT.healed + 1]) assert.equal(judged({ ...outcome, service: "one", at }), "fault");
    assert.equal(judged({ ...outcome, service: "two", from: "c", at: CUT.healed + 1 }), "fault");
  }
});

Deno.test("judge() allows that tries run out where several instances are beyond the cut, and none of them has it", () => {
  const ofThree = { from: "c", service: "three" };
  assert.equal(judged({ ...ofThree, ...refused("connect") }), "tries ran out");
  assert.equal(judged({ ...ofThree, ...refused("connect") }, "three/c"), "fault");
  assert.equal(judged({ ...ofThree, ...refused("no_instances") }), "fault");
  assert.equal(judged({ ...ofThree, ...closed, kept: true }), "tries ran out, not told");
  assert.equal(judged({ ...ofThree, ...closed, kept: true }, "three/c"), "fault");
  assert.equal(judged({ ...ofThree, ...closed }), "fault");
  assert.equal(judged({ service: "one", ...refused("connect") }), "nobody to reach");
  assert.equal(judged({ service: "one", ...refused("no_instances") }), "nobody to reach");
  assert.equal(judged({ service: "one", ...closed, kept: true }), "nobody to reach, not told");
});

Deno.test("judge() allows that what was sent to the other side of a cut is lost, and nothing else", () => {
  const before = { at: BEGUN - 100, ms: 8_000 };
  assert.equal(judged({ ...before, ...silent }), "lost in the cut");
  assert.equal(judged({ ...before, ...silent }, "two/c"), "lost in the cut");
  assert.equal(judged({ ...before, ...silent }, "two/b"), "fault");
  assert.equal(judged({ ...before, ...silent, ms: 50 }), "fault");
  assert.equal(judged({ ...silent, at: CUT.made }), "lost in the cut");
  assert.equal(judged({ ...silent, at: CUT.made + 1 }), "fault");
  assert.equal(judged({ ...silent, at: CUT.made + 500, kept: true }), "lost on an idle connection");
  assert.equal(judged({ ...silent, at: CUT.made + 500, kept: true }, "two/b"), "fault");
  assert.equal(judged({ ...silent, at: CUT.made + 1_001, kept: true }), "fault");
});
