import assert from "node:assert/strict";
import fc from "fast-check";
import { hostIdIn, specOf, textOfSpec } from "./instance_spec.ts";
import { callRoll, type Entry, type Found, keyOf, type Roll } from "./roll.ts";

Deno.test("callRoll() takes what the files say, and leaves out who has none", () => {
  const { roll, problems } = callRoll(new Map(), files({ "b.json": "a 1", "c.json": "a 2", "x.json": "b 1" }));
  assert.deepEqual([said(roll), problems], [{ "b.json": "a/i1", "c.json": "a/i2", "x.json": "b/i1" }, []]);
  assert.deepEqual(said(callRoll(roll, files({ "c.json": "a 3" })).roll), { "c.json": "a/i3" });
});

Deno.test("callRoll() keeps the form that a file had before it could not be used", () => {
  const before = callRoll(new Map(), files({ "b.json": "a 1", "c.json": "a 2" })).roll;
  const broken = new Map<string, Found>([
    ["b.json", bytes("{")],
    ["c.json", { kind: "unreadable", reason: "it cannot be read: why" }],
    ["d.json", bytes("{}")],
  ]);
  const { roll, problems } = callRoll(before, broken);
  assert.deepEqual(roll, before);
  assert.deepEqual(problems.map(({ file, reason }) => `${file}: ${reason.split(/[,:]/)[0]}`), [
    "b.json: expected JSON",
    "c.json: it cannot be read",
    'd.json: "service" is required',
  ]);
});

Deno.test("callRoll() gives an instance that two files say to the one that had it, else to the first by name", () => {
  const first = callRoll(new Map(), files({ "c.json": "a 1", "b.json": "a 1" }));
  assert.deepEqual(said(first.roll), { "b.json": "a/i1" });
  assert.deepEqual(first.problems, [{
    file: "c.json",
    reason: '"service" "a" with "id" "i1": "b.json" says the same; give one of them another "id"',
  }]);
  const had = callRoll(new Map(), files({ "c.json": "a 1", "b.json": "a 2" })).roll;
  const second = callRoll(had, files({ "c.json": "a 1", "b.json": "a 1" }));
  assert.deepEqual(said(second.roll), { "c.json": "a/i1", "b.json": "a/i2" });
  assert.deepEqual(second.problems.map(({ file }) => file), ["b.json"]);
  // Who had it is gone.
  assert.deepEqual(said(callRoll(second.roll, files({ "b.json": "a 1" })).roll), { "b.json": "a/i1" });
  // They change places.
  const swapped = callRoll(had, files({ "c.json": "a 2", "b.json": "a 1" }));
  assert.deepEqual([said(swapped.roll), swapped.problems], [{ "b.json": "a/i1", "c.json": "a/i2" }, []]);
});

Deno.test("callRoll() never has an instance twice, loses no file that is there and was good, and settles at once", () => {
  const folder = fc.dictionary(
    fc.constantFrom("a.json", "b.json", "c.json", "d.json"),
    fc.constantFrom("a 1", "a 2", "b 1", "bad"),
  );
  fc.assert(fc.property(fc.array(folder, { minLength: 1, maxLength: 6 }), (folders) => {
    let roll: Roll = new Map();
    for (const one of folders) {
      const found = files(one);
      const next = callRoll(roll, found);
      const keys = [...next.roll.values()].map(({ file }) => keyOf(file));
      assert.equal(new Set(keys).size, keys.length);
      const bad = new Set(next.problems.map(({ file }) => file));
      for (const name of found.keys()) assert.ok(next.roll.has(name) || bad.has(name), name);
      for (const name of next.roll.keys()) assert.ok(found.has(name), name);
      for (const [name, before] of roll) {
        // Who is registered stays so while its file says so.
        if (one[name] === "bad" || one[name]?.replace(" ", "/i") === keyOf(before.file)) {
          assert.equal(next.roll.get(name) && keyOf((next.roll.get(name) as Entry).file), keyOf(before.file));
        }
      }
      const again = callRoll(next.roll, found);
      assert.deepEqual(said(again.roll), said(next.roll));
      roll = next.roll;
    }
  }));
});

Deno.test("specOf() takes from the sidecar what the file does not say; its text is the same for the same form", () => {
  const file = (more: object) => {
    const found = new Map([["i1.json", bytes(JSON.stringify({ service: "a", port: 1, ...more }))]]);
    return (callRoll(new Map(), found).roll.get("i1.json") as Entry).file;
  };
  const home = { hostId: "h1", zone: "z", advertise: "10.0.0.1" };
  const base = { host: "10.0.0.1", port: 1, version: 1, weight: 100, zone: "z", hostId: "h1", metadata: {} };
  assert.deepEqual(specOf(file({}), home), base);
  assert.deepEqual(specOf(file({ host: "b", zone: "y" }), home), { ...base, host: "b", zone: "y" });
  assert.equal("zone" in specOf(file({}), { hostId: "h1", advertise: "x" }), false);
  const texts = [{ x: "1", y: "2" }, { y: "2", x: "1" }, { x: "2", y: "1" }].map((metadata) =>
    textOfSpec(specOf(file({ metadata, check: {}, drainTime: "1s" }), home))
  );
  assert.equal(texts[0], texts[1]);
  assert.notEqual(texts[0], texts[2]);
  assert.equal(hostIdIn(texts[0] ?? ""), "h1");
  for (const text of ["", "null", "{}", '{"hostId":1}']) assert.equal(hostIdIn(text), undefined, text);
});

/** `SERVICE NUMBER` by name; anything else is no JSON. */
function files(said: Readonly<Record<string, string>>): ReadonlyMap<string, Found> {
  return new Map(
    Object.entries(said).map(([name, text]) => {
      const [service, id] = text.split(" ");
      return [name, bytes(id === undefined ? text : JSON.stringify({ service, id: `i${id}`, port: 1 }))];
    }),
  );
}

function bytes(text: string): Found {
  return { kind: "bytes", bytes: new TextEncoder().encode(text) };
}

function said(roll: Roll): Readonly<Record<string, string>> {
  return Object.fromEntries([...roll].map(([name, { file }]) => [name, keyOf(file)]));
}
