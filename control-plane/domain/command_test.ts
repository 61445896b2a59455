import assert from "node:assert/strict";
import fc from "fast-check";
import { apply } from "./change.ts";
import { emptyMap, findInstance, findService, MAX_INSTANCES, MAX_SERVICE_BYTES } from "./cluster_map.ts";
import { type Command, decide } from "./command.ts";
import type { Revision } from "./names.ts";
import { parseSplit } from "./route.ts";
import { anyCommand, EPOCH, type Event, historyOf } from "./testing.ts";

const at = { realm: "local", service: "identity" } as const;

function register(id: string, more: object = {}): Command {
  const instance = { id, host: "127.0.0.1", port: 8080, version: 1, weight: 100, metadata: {}, ...more };
  return { kind: "register", ...at, instance } as unknown as Command;
}

function after(...commands: Command[]) {
  return historyOf(commands as Event[]).at(-1)!.map;
}

Deno.test("decide() accepts only what leaves the map as asked for", () => {
  fc.assert(fc.property(fc.array(anyCommand, { maxLength: 30 }), anyCommand, (list, command) => {
    const { map } = historyOf(list).at(-1)!;
    const decision = decide(map, command);
    if (decision.kind !== "accept") return;
    const next = apply(map, (map.position.revision + 1n) as Revision, decision.changes);
    // Asked for again it is so already; what was removed is not there to remove.
    assert.equal(decide(next, command).kind, command.kind === "deregister" ? "refuse" : "unchanged");
    assert.equal(findService(next, command.realm, command.service)?.modified, next.position.revision);
  }));
});

Deno.test("decide() relies on everything that it read", () => {
  fc.assert(fc.property(fc.array(anyCommand, { maxLength: 30 }), anyCommand, (list, command) => {
    const { map } = historyOf(list).at(-1)!;
    const decision = decide(map, command);
    if (decision.kind !== "accept") return;
    const service = findService(map, command.realm, command.service);
    const own = decision.relies.find(({ instance, alias }) => instance === undefined && alias === undefined);
    assert.equal(own?.revision, service?.specModified ?? 0n);
    for (const { instance, alias, revision } of decision.relies) {
      if (instance) assert.equal(revision, findInstance(service, instance)?.modified ?? 0n);
      if (alias) assert.equal(revision, service?.aliases.find(({ name }) => name === alias)?.modified ?? 0n);
    }
  }));
});

Deno.test("decide() keeps what an operator wants when an instance registers again", () => {
  const map = after(register("a"), { kind: "set_enabled", ...at, id: "a", enabled: false } as never);
  const decision = decide(map, register("a", { port: 9090 }));
  assert.ok(decision.kind === "accept");
  const next = apply(map, 9n as Revision, decision.changes);
  const instance = findInstance(findService(next, at.realm as never, at.service as never), "a" as never);
  assert.deepEqual([instance?.port, instance?.enabled], [9090, false]);
});

Deno.test("decide() answers a write that changes nothing with the resource's revision", () => {
  const map = after(register("a"), register("b"));
  assert.deepEqual(decide(map, register("a")), { kind: "unchanged", revision: 1n });
});

Deno.test("decide() refuses to change what does not exist", () => {
  const map = after(register("a"));
  const refused = (command: object) => {
    const decision = decide(map, command as Command);
    return decision.kind === "refuse" ? [decision.code, decision.message] : decision.kind;
  };
  assert.deepEqual(refused({ kind: "deregister", ...at, id: "b" }), [
    "not_found",
    `Cannot find instance "identity/b": it does not exist`,
  ]);
  assert.deepEqual(refused({ kind: "set_enabled", ...at, service: "teams", enabled: false }), [
    "not_found",
    `Cannot find service "teams" in realm "local": it does not exist`,
  ]);
  assert.equal(refused({ kind: "set_enabled", ...at, id: "b", enabled: true })[0], "not_found");
});

Deno.test("decide() bounds the instances and the bytes of a service", () => {
  let map = emptyMap(EPOCH);
  const add = (command: Command) => {
    const decision = decide(map, command);
    if (decision.kind === "accept") map = apply(map, (map.position.revision + 1n) as Revision, decision.changes);
    return decision;
  };
  for (let n = 0; n < MAX_INSTANCES; n++) assert.equal(add(register(`i${n}`)).kind, "accept");
  const more = add(register("one-more"));
  assert.ok(more.kind === "refuse" && more.code === "too_large" && more.violations[0]?.field === "instances");
  assert.equal(add(register("i0", { port: 9 })).kind, "accept", "those that are there may change");

  map = emptyMap(EPOCH);
  const metadata = { k: "v".repeat(4_000) };
  let last = add(register("i0", { metadata }));
  for (let n = 1; last.kind === "accept"; n++) last = add(register(`i${n}`, { metadata }));
  assert.ok(last.kind === "refuse" && last.code === "too_large" && last.violations[0]?.field === "metadata");
  const service = findService(map, at.realm as never, at.service as never)!;
  assert.ok(service.bytes <= MAX_SERVICE_BYTES && service.bytes > MAX_SERVICE_BYTES - 8_192);
  assert.equal(add({ kind: "deregister", ...at, id: "i0" } as never).kind, "accept");
});

Deno.test("parseSplit() has one form for one split and refuses all else", () => {
  const shares = (...pairs: [number, number][]) => pairs.map(([version, share]) => ({ version, share })) as never;
  assert.deepEqual(parseSplit(shares([2, 1_000], [1, 9_000])), {
    kind: "split",
    shares: [{ version: 1, share: 9_000 }, { version: 2, share: 1_000 }],
  });
  for (
    const [bad, problem] of [
      [shares([1, 10_000]), /two or more/],
      [shares([1, 9_000], [2, 999]), /add up to 10000 basis points, not 9999/],
      [shares([1, 5_000], [1, 5_000]), /v1 occurs again/],
      [shares([1, 9_999.5], [2, 0.5]), /whole numbers/],
      [shares([1, 10_001], [2, -1]), /whole numbers/],
    ] as const
  ) assert.match((parseSplit(bad) as { problem: string }).problem, problem);
});
