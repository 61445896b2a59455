import assert from "node:assert/strict";
import { SILENT } from "../../proto/log.ts";
import { turn } from "../../proto/testing/turn.ts";
import { Down, Restarts } from "./restarts.ts";

/** Something that starts, or does not for the reason that is told at the time; and what is said of that. */
function start() {
  const stop = new AbortController();
  const asked: PromiseWithResolvers<void>[] = [];
  const errors: unknown[] = [];
  let failed = 0;
  const restarts = new Restarts({
    start: () => {
      const one = Promise.withResolvers<void>();
      asked.push(one);
      return one.promise;
    },
    onFail: () => failed++,
    log: { ...SILENT, error: (_, fields) => errors.push((fields?.["reason"] as Error).message) },
    signal: stop.signal,
  });
  /** Resolves once it is in a pause. */
  const fail = async (reason: string) => {
    const before = failed;
    asked.at(-1)?.reject(new Error(reason));
    while (failed === before) await turn();
    assert.equal(restarts.down, reason);
  };
  return { restarts, asked, errors, fail, stop: () => stop.abort() };
}

Deno.test("what does not start is tried again, and why is logged once", async () => {
  const { restarts, asked, errors, fail } = start();
  const runs = restarts.run();
  for (const reason of ["no port", "no port", "no memory"]) {
    await fail(reason);
    const tried = asked.length;
    while (asked.length === tried) await turn();
  }
  asked.at(-1)?.resolve();
  assert.equal(await runs, true);
  assert.deepEqual(errors, ["no port", "no memory"]);
  assert.equal(restarts.down, undefined);
});

Deno.test("nobody changes files while it starts: who waits hears whether it runs, and in a pause they may be changed", async () => {
  const { restarts, asked, fail, stop } = start();
  await restarts.settled();
  const runs = restarts.run();
  const waiting = assert.rejects(restarts.settled(), new Down("no port"));
  assert.equal(restarts.hurry(() => assert.fail("it is being started")), false);
  await fail("no port");
  await waiting;
  await assert.rejects(restarts.settled(), Down);
  // Pauses come to be 2 s each.
  const began = performance.now();
  for (let at = 0; at < 10; at++) {
    const tried = asked.length;
    let changed = false;
    assert.equal(restarts.hurry(() => changed = true), true);
    while (asked.length === tried) await turn();
    assert.equal(changed, true);
    if (at < 9) await fail("no port");
  }
  assert.ok(performance.now() - began < 2_000);
  const settled = restarts.settled();
  asked.at(-1)?.resolve();
  assert.equal(await runs, true);
  await settled;
  stop();
});

Deno.test("a pause ends at once when it is to stop", async () => {
  const { restarts, asked, fail, stop } = start();
  const runs = restarts.run();
  for (let at = 0; at < 8; at++) {
    await fail("no port");
    restarts.hurry(() => {});
    while (asked.length < at + 2) await turn();
  }
  await fail("no port");
  const began = performance.now();
  stop();
  assert.equal(await runs, false);
  assert.ok(performance.now() - began < 1_000, "the pause would have been 2 s");
});
