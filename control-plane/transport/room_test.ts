import assert from "node:assert/strict";
import { isRefusal } from "../domain/refusal.ts";
import { Room } from "./room.ts";

const KIB = 1 << 10;
const never = new AbortController().signal;

/** Room that is there at once; fails where it is not. */
async function taken(room: Room, who: string, bytes: number): Promise<Disposable> {
  const place = await room.take(who, bytes, never);
  assert.ok(!isRefusal(place));
  return place;
}

Deno.test("Room lets an address have so much at once, the others in the order in which they came", async () => {
  const room = new Room(300 * KIB, 60_000);
  const first = await taken(room, "a", 200 * KIB);
  const order: string[] = [];
  const second = room.take("a", 150 * KIB, never).then((place) => (order.push("second"), place));
  const third = room.take("a", 100 * KIB, never).then((place) => (order.push("third"), place));
  await taken(room, "b", 300 * KIB);
  await taken(room, "a", 64 * KIB);
  assert.deepEqual(order, [], "what is small needs no room, and takes none");
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  const places = await Promise.all([second, third]);
  assert.deepEqual(order, ["second", "third"]);
  for (const place of places) (place as Disposable)[Symbol.dispose]();
  // Who is let in leaves no room for the next one, though nobody has looked at the place yet.
  const all = await taken(room, "a", 300 * KIB);
  let admitted = 0;
  const both = [1, 2].map(async () => {
    const place = await room.take("a", 200 * KIB, never);
    admitted++;
    return place;
  });
  all[Symbol.dispose]();
  const place = await Promise.race(both);
  await taken(room, "c", 100 * KIB);
  assert.equal(admitted, 1);
  (place as Disposable)[Symbol.dispose]();
  await Promise.all(both);
});

Deno.test("Room lets what is larger than all of it go alone", async () => {
  const room = new Room(300 * KIB, 60_000);
  const large = await taken(room, "a", 1_000 * KIB);
  const next = room.take("a", 1_000 * KIB, never);
  large[Symbol.dispose]();
  assert.ok(!isRefusal(await next));
});

Deno.test("Room refuses who waits for too long, or goes, and the next one gets it", async () => {
  const room = new Room(300 * KIB, 5);
  const first = await taken(room, "a", 300 * KIB);
  const late = await room.take("a", 300 * KIB, never);
  assert.ok(isRefusal(late) && late.code === "too_many");
  const patient = new Room(300 * KIB, 60_000);
  const all = await taken(patient, "a", 300 * KIB);
  const gone = new AbortController();
  const leaving = patient.take("a", 300 * KIB, gone.signal);
  const staying = patient.take("a", 300 * KIB, never);
  gone.abort();
  assert.ok(isRefusal(await leaving));
  all[Symbol.dispose]();
  assert.ok(!isRefusal(await staying));
  first[Symbol.dispose]();
});

Deno.test("Room lets those in who need less, once the one before them gives up", async () => {
  const room = new Room(300 * KIB, 60_000);
  const first = await taken(room, "a", 200 * KIB);
  const gone = new AbortController();
  const large = room.take("a", 200 * KIB, gone.signal);
  const waiting = new AbortController();
  const small = room.take("a", 100 * KIB, waiting.signal);
  gone.abort();
  assert.ok(isRefusal(await large));
  waiting.abort();
  assert.ok(!isRefusal(await small), "it was let in before it gave up");
  first[Symbol.dispose]();
});

Deno.test("Room is held until a signal aborts, also one that has", async () => {
  const room = new Room(300 * KIB, 5);
  const over = new AbortController();
  assert.equal(await room.hold("a", 300 * KIB, over.signal), undefined);
  assert.equal((await room.hold("a", 300 * KIB, never))?.code, "too_many");
  over.abort();
  assert.equal(await room.hold("a", 300 * KIB, over.signal), undefined);
  await taken(room, "a", 300 * KIB);
});
