import assert from "node:assert/strict";
import fc from "fast-check";
import { Refused } from "./haproxy/data_folder.ts";
import { guilty, revertGuilty } from "./guilty.ts";
import { EMPTY_PLAN } from "./routing/plan.ts";
import { instance, service } from "./testing/maps.ts";
import { Wishes } from "./wishes.ts";

Deno.test("guilty() finds whoever does harm alone, and asks few questions", async () => {
  const names = Array.from({ length: 64 }, (_, at) => `s${at}`);
  await fc.assert(fc.asyncProperty(fc.subarray(names, { maxLength: 3 }), async (bad) => {
    let asked = 0;
    const check = (few: readonly string[]) => {
      asked++;
      return refuse(few.some((name) => bad.includes(name)));
    };
    assert.deepEqual(await guilty(names, check), bad);
    assert.ok(asked <= 1 + 2 * 6 * bad.length, `${asked} questions for ${bad.length}`);
  }));
});

Deno.test("guilty() accuses nobody who does harm only together with others", async () => {
  assert.deepEqual(await guilty(["a", "b"], (few) => refuse(few.length > 1)), []);
});

Deno.test("guilty() takes no broken disk for a refusal", async () => {
  await assert.rejects(guilty(["a", "b"], () => Promise.reject(new Error("disk"))), /disk/);
});

Deno.test("revertGuilty() blames all that needs a reload where nobody does harm alone, and nobody where nothing does", async () => {
  const resolver = { need: () => {}, addressOf: (host: string) => host, isPending: () => false };
  const wishes = new Wishes({ resolver, isEjected: () => false, portProblem: () => undefined });
  for (const name of ["a", "b"]) wishes.set(name, service(name, { instances: [instance("i1")] }));
  const refusal = new Refused("it is not liked");
  const blame = () => revertGuilty(refusal, wishes, EMPTY_PLAN, (wanted) => refuse(wanted.size > 1));
  assert.deepEqual(await blame(), ["a", "b"]);
  assert.deepEqual(wishes.refused, ["a", "b"].map((service) => ({ service, reason: "it is not liked" })));
  assert.equal(wishes.wanted.size, 0);
  await assert.rejects(blame(), refusal);
});

function refuse(bad: boolean): Promise<void> {
  return bad ? Promise.reject(new Refused("it is not liked")) : Promise.resolve();
}
