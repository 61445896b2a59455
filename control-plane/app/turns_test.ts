import assert from "node:assert/strict";
import { Turns } from "./turns.ts";

Deno.test("Turns lets the given number work at once, the others in their order, each thing for itself", async () => {
  const turns = new Turns(2);
  const order: string[] = [];
  const take = async (name: string, thing = "a") => {
    const turn = await turns.take(thing);
    order.push(name);
    return turn;
  };
  const first = await take("first");
  const second = await take("second");
  const waiting = [take("third"), take("fourth")];
  await take("elsewhere", "b");
  assert.deepEqual(order, ["first", "second", "elsewhere"]);
  second[Symbol.dispose]();
  (await waiting[0]!)[Symbol.dispose]();
  await waiting[1];
  assert.deepEqual(order, ["first", "second", "elsewhere", "third", "fourth"]);
  first[Symbol.dispose]();
  await take("fifth");
});
