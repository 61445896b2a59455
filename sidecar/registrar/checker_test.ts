import assert from "node:assert/strict";
import { DEFAULT_CHECK } from "../../proto/limits.ts";
import { TestClock } from "../../sdk-ts/testing/clock.ts";
import type { Check, CheckStatus } from "./check.ts";
import { Checker } from "./checker.ts";

Deno.test("a checker checks at once, then every interval, and tells what the results say", async () => {
  await using rig = checking();
  await rig.next("no");
  assert.deepEqual(rig.told, ["failing no"]);
  for (const error of [undefined, undefined]) await rig.after(2_000, error);
  assert.deepEqual(rig.told, ["failing no", "failing", "passing"]);
});

Deno.test("a checker goes on from what was found before", async () => {
  await using rig = checking("passing");
  await rig.next("no");
  assert.deepEqual(rig.told, ["passing no"]);
  for (const error of ["no", "no"]) await rig.after(2_000, error);
  assert.deepEqual(rig.told, ["passing no", "passing no", "failing no"]);
});

Deno.test("a checker that is poked checks at once; the first result of another question decides", async () => {
  await using rig = checking();
  await rig.next();
  rig.check = { ...DEFAULT_CHECK, kind: "HTTP", intervalMs: 60_000 };
  rig.checker.poke();
  await rig.next("no");
  assert.deepEqual(rig.told, ["passing", "failing no"]);
  // The pace is no other question.
  rig.check = { ...rig.check, intervalMs: 500 };
  rig.checker.poke();
  await rig.next();
  assert.deepEqual(rig.told.at(-1), "failing");
  rig.port = 81;
  await rig.after(500);
  assert.deepEqual([rig.told.at(-1), rig.asked.at(-1)], ["passing", "HTTP 127.0.0.1:81"]);
});

function checking(status: CheckStatus = "unknown") {
  const clock = new TestClock();
  const told: string[] = [];
  const asked: string[] = [];
  let answer = Promise.withResolvers<string | undefined>();
  let begun = Promise.withResolvers<void>();
  let heard = Promise.withResolvers<void>();
  const rig = {
    check: DEFAULT_CHECK as Check,
    port: 80,
    told,
    asked,
    /** Answers the check that is under way or comes. */
    async next(error?: string) {
      await begun.promise;
      [begun, heard] = [Promise.withResolvers(), Promise.withResolvers()];
      const { resolve } = answer;
      answer = Promise.withResolvers();
      resolve(error);
      await heard.promise;
    },
    async after(ms: number, error?: string) {
      (await clock.nap(ms)).end();
      await rig.next(error);
    },
    checker: undefined as unknown as Checker,
    [Symbol.asyncDispose]: async () => {
      const ended = rig.checker[Symbol.asyncDispose]();
      answer.resolve(undefined);
      await ended;
    },
  };
  rig.checker = new Checker({
    target: () => ({ host: "127.0.0.1", port: rig.port }),
    check: () => rig.check,
    probe: ({ kind }, { host, port }) => {
      asked.push(`${kind} ${host}:${port}`);
      begun.resolve();
      return answer.promise;
    },
    ports: clock,
    status,
    onResult: (status, error) => {
      told.push([status, ...(error ? [error] : [])].join(" "));
      heard.resolve();
    },
  });
  return rig;
}
