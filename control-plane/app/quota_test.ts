import assert from "node:assert/strict";
import { isRefusal } from "../domain/refusal.ts";
import { Quota } from "./quota.ts";
import { done, refusal } from "./testing.ts";

Deno.test("Quota lets each have so many at once, and again what was given back", () => {
  const quota = new Quota(2, "watches");
  const first = done(quota.take("a"));
  const second = done(quota.take("a"));
  const { code, message } = refusal(quota.take("a"));
  assert.equal(code, "too_many");
  assert.equal(message, 'Cannot take more watches from "a": 2 are under way; try again later');
  done(quota.take("b"));
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  done(quota.take("a"));
  assert.ok(isRefusal(quota.take("a")), "given back twice is given back once");
  second[Symbol.dispose]();
  done(quota.take("a"));
});
