import assert from "node:assert/strict";
import { Newest } from "./newest.ts";

const joined = () => new Newest<string>((unseen, newer) => unseen + newer);

Deno.test("Newest melts what its consumer was too slow for", async () => {
  const newest = joined();
  for (const value of "abc") newest.put(value);
  const values = newest[Symbol.asyncIterator]();
  assert.equal((await values.next()).value, "abc");
  newest.put("d");
  assert.equal((await values.next()).value, "d");
});

Deno.test("Newest wakes a consumer that waits, with a value, an end or an error", async () => {
  const newest = joined();
  const values = newest[Symbol.asyncIterator]();
  const waiting = values.next();
  newest.put("a");
  assert.deepEqual(await waiting, { done: false, value: "a" });
  const ending = values.next();
  newest.end();
  assert.equal((await ending).done, true);

  const failing = joined();
  const next = failing[Symbol.asyncIterator]().next();
  failing.fail(new Error("refused"));
  await assert.rejects(next, /refused/);
});

Deno.test("Newest hands out its last value before the error, and nothing after the end", async () => {
  const failed = joined();
  failed.put("a");
  failed.fail(new Error("refused"));
  const values = failed[Symbol.asyncIterator]();
  assert.equal((await values.next()).value, "a");
  await assert.rejects(values.next(), /refused/);

  const ended = joined();
  ended.put("a");
  ended.end();
  assert.equal((await ended[Symbol.asyncIterator]().next()).done, true);
});

Deno.test("Newest goes on for the next loop where the last one left", async () => {
  const newest = joined();
  newest.put("a");
  for await (const value of newest) {
    assert.equal(value, "a");
    break;
  }
  newest.put("b");
  for await (const value of newest) {
    assert.equal(value, "b");
    break;
  }
});
