import assert from "node:assert/strict";
import fc from "fast-check";
import { apply, type Change } from "../domain/change.ts";
import { emptyMap } from "../domain/cluster_map.ts";
import type { Reliance } from "../domain/decision.ts";
import type { Epoch, Realm } from "../domain/names.ts";
import { anyEvent, contents, EPOCH, historyOf } from "../domain/testing.ts";
import { openMemoryStore } from "../store/memory.ts";
import type { Write } from "../store/store.ts";
import { replay } from "./load.ts";
import {
  changeOf,
  guardOf,
  type Note,
  noteOf,
  operationKey,
  operationWrite,
  parseOperation,
  writesOf,
} from "./store_keys.ts";

const note: Note = { time: 5, identity: "alice", reason: "because", operation: "test", operationId: "op" as never };
const begin: Change = { kind: "begin_epoch", epoch: EPOCH };

/** As another process reads it. */
function copied({ key, value }: Write): Write {
  return { key, ...(value && { value: value.slice() }) };
}

Deno.test("the log and the newest values of a store add up to the live map, for who wrote them and for who reads them", async () => {
  const events = fc.array(anyEvent, { maxLength: 40, size: "max" });
  await fc.assert(
    fc.asyncProperty(events, async (list) => {
      await using store = openMemoryStore();
      await store.commit(writesOf([begin], note));
      const history = historyOf(list).slice(1);
      for (const { changes } of history) await store.commit(writesOf(changes, note));
      let [own, read] = [emptyMap(0n as Epoch), emptyMap(0n as Epoch)];
      let live = apply(own, 1n as never, [begin]);
      let step = 0;
      for await (const { revision, writes } of store.history("", 0n as never)) {
        const changesOf = (writes: readonly Write[]) => writes.map(changeOf).filter((change) => change !== undefined);
        own = apply(own, revision, changesOf(writes));
        read = apply(read, revision, changesOf(writes.map(copied)));
        if (revision > 1n) live = apply(live, revision, history[step++]!.changes);
        assert.deepEqual(contents(own), contents(live));
        assert.deepEqual(contents(read), contents(live));
        const snapshot = await store.read("map/", revision);
        assert.deepEqual(contents(await replay(snapshot)), contents(live));
        const entries = snapshot.entries.map((entry) => ({ ...entry, ...copied(entry), value: entry.value.slice() }));
        assert.deepEqual(contents(await replay({ ...snapshot, entries })), contents(live));
      }
      assert.equal(step, history.length);
    }),
    { numRuns: 60 },
  );
});

Deno.test("writesOf() writes each key once, and who did it with each change of a service", () => {
  fc.assert(fc.property(fc.array(anyEvent, { maxLength: 40, size: "max" }), (list) => {
    for (const { changes } of historyOf(list).slice(1)) {
      const writes = writesOf(changes, note);
      const keys = writes.map((write) => "key" in write ? write.key : write.prefix);
      assert.equal(new Set(keys).size, keys.length);
      const notes = writes.flatMap((write) => "key" in write ? noteOf(copied(write)) ?? [] : []);
      const services = new Set(
        changes.flatMap((one) => "service" in one && one.kind !== "forget_service" ? one.service : []),
      );
      assert.deepEqual(notes.map(({ service }) => service), [...services]);
      for (const told of notes) assert.deepEqual(told.note, note);
    }
  }));
});

Deno.test("changeOf() reads numbers as large as they get", () => {
  for (const change of [{ kind: "begin_epoch", epoch: 2n ** 63n - 1n }, { kind: "raise_floor", floor: 2n ** 60n }]) {
    const [write] = writesOf([change as Change], note) as Write[];
    assert.deepEqual(changeOf(copied(write!)), change);
  }
});

Deno.test("guardOf() names the key that a write of the resource touches", () => {
  const of = { realm: "local", service: "a" };
  const key = (change: object) => (writesOf([{ ...of, ...change } as never], note) as Write[])[0]!.key;
  const guard = (relies: object) => guardOf({ ...of, revision: 3n, ...relies } as Reliance);
  assert.deepEqual(guard({}), { key: key({ kind: "put_service", enabled: true, spec: {} }), revision: 3n });
  assert.equal(guard({ instance: "i" }).key, key({ kind: "delete_instance", id: "i" }));
  assert.equal(guard({ touch: true }).key, key({ kind: "touch_service" }));
  assert.equal(guard({ alias: "live" }).key, key({ kind: "delete_alias", name: "live" }));
});

Deno.test("an operation's record is read as it was written, and says nothing of the map", () => {
  for (const record of [{ of: "drain local/a" }, { of: "register local/a/i", lease: "l" as never }]) {
    const write = operationWrite("local" as Realm, "op" as never, record);
    assert.deepEqual(parseOperation(write.value!), record);
    assert.equal(changeOf(copied(write)), undefined);
    assert.equal(write.key.startsWith(operationKey("local" as Realm, "o" as never)), false);
  }
});

Deno.test("changeOf() refuses what this program never wrote", () => {
  const value = (text: string) => new TextEncoder().encode(text);
  for (
    const [key, text] of [
      ["weather", "1"],
      ["map/local/UPPER/spec", "{}"],
      ["map/local/a/spec", '{"enabled":true}'],
      ["map/local/a/spec", "nothing"],
      ["map/local/a/weather", "{}"],
      ["map/local/a/instance/UPPER", '{"host":"x","port":1,"version":1,"weight":1,"metadata":{}}'],
      ["map/local/a/instance/i", '{"host":"x","port":0,"version":1,"weight":1,"metadata":{}}'],
      ["map/local/a/instance/i", '{"host":"x","port":1,"version":1,"weight":1,"metadata":{},"status":"fine"}'],
      ["map/local/a/instance/i", '{"host":"x","port":1,"version":1,"weight":1,"metadata":{},"ttl":1}'],
      ["map/local/a/alias/live", '{"kind":"split","shares":[{"version":1,"share":10000}]}'],
      ["map/epoch", "abc"],
    ] as const
  ) assert.throws(() => changeOf({ key, value: value(text) }), new RegExp(`key "${key}"`), key + text);
});
