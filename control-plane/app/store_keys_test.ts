import assert from "node:assert/strict";
import fc from "fast-check";
import type { Change } from "../domain/change.ts";
import type { Reliance } from "../domain/command.ts";
import { anyEvent, historyOf } from "../domain/testing.ts";
import { changeOf, guardOf, writesOf } from "./store_keys.ts";

Deno.test("changeOf() reads what writesOf() wrote", () => {
  fc.assert(fc.property(fc.array(anyEvent, { maxLength: 20 }), (events) => {
    for (const change of historyOf(events).flatMap(({ changes }) => changes)) {
      assert.deepEqual(changeOf(writesOf(change)), plain(change));
    }
  }));
  for (const change of [{ kind: "begin_epoch", epoch: 7n }, { kind: "raise_floor", floor: 2n ** 60n }]) {
    assert.deepEqual(changeOf(writesOf(change as Change)), change);
  }
});

Deno.test("guardOf() names the key that a write of the resource touches", () => {
  const of = { realm: "local", service: "a" };
  const key = (change: object) => writesOf({ ...of, ...change } as never).key;
  const guard = (relies: object) => guardOf({ ...of, revision: 3n, ...relies } as Reliance);
  assert.deepEqual(guard({}), { key: key({ kind: "put_service", enabled: true }), revision: 3n });
  assert.equal(guard({ instance: "i" }).key, key({ kind: "delete_instance", id: "i" }));
  assert.equal(guard({ touch: true }).key, key({ kind: "touch_service" }));
  assert.equal(guard({ alias: "live" }).key, key({ kind: "delete_alias", name: "live" }));
});

Deno.test("changeOf() refuses what this program never wrote", () => {
  const value = (text: string) => new TextEncoder().encode(text);
  for (
    const [key, text] of [
      ["weather", "1"],
      ["service/local/UPPER", "{}"],
      ["instance/local/a/i", '{"host":"x","port":0,"version":1,"weight":1}'],
      ["alias/local/a/live", '{"kind":"split","shares":[{"version":1,"share":10000}]}'],
      ["epoch", "abc"],
    ] as const
  ) assert.throws(() => changeOf({ key, value: value(text) }), new RegExp(`key "${key}"`));
});

// fast-check's records carry what JSON drops.
function plain<T>(change: T): T {
  const { instance } = change as { instance?: { modified?: unknown } };
  if (!instance) return change;
  const { modified: _, ...rest } = instance;
  return { ...change, instance: rest };
}
