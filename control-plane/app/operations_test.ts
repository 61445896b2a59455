import assert from "node:assert/strict";
import { MAX_SERVICE_BYTES } from "../domain/cluster_map.ts";
import type { Command } from "../domain/command.ts";
import { NO_REVISION, type Realm, type Revision } from "../domain/names.ts";
import { isRefusal } from "../domain/refusal.ts";
import { openMemoryStore } from "../store/memory.ts";
import type { Commit, Store } from "../store/store.ts";
import { createLog, SILENT } from "../../proto/log.ts";
import { Operations } from "./operations.ts";
import { openHub } from "./hub.ts";

const caller = { identity: "alice", reason: "because", signal: new AbortController().signal };
const local = { realm: "local" as Realm };

function register(id: string): Command {
  const instance = { id, host: "127.0.0.1", port: 1, version: 1, weight: 100, metadata: {} };
  return { kind: "register", ...local, service: "a", instance } as unknown as Command;
}

/** A store whose commits may be answered by somebody else. */
function answering(store: Store, answer: () => Commit | undefined): Store {
  return {
    read: (prefix) => store.read(prefix),
    commit: (writes, guards) => Promise.resolve(answer() ?? store.commit(writes, guards)),
    watch: (prefix, after, signal) => store.watch(prefix, after, signal),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

Deno.test("execute() decides anew when another write was faster", async () => {
  await using store = openMemoryStore();
  await using hub = await openHub({ store, log: SILENT, now: () => 7 });
  const operations = new Operations(store, hub, SILENT);
  // All of them decide on a map in which the service does not exist.
  const outcomes = await Promise.all(
    Array.from({ length: 10 }, (_, n) => operations.execute(caller, register(`i${n}`))),
  );
  assert.ok(outcomes.every(({ kind }) => kind === "written"));
  const read = await operations.read(caller, local, NO_REVISION);
  assert.ok(!isRefusal(read) && read.set[0]?.instances.length === 10);
});

Deno.test("execute() keeps a service within its bounds, however many write to it at once", async () => {
  await using store = openMemoryStore();
  await using hub = await openHub({ store, log: SILENT, now: () => 7 });
  const operations = new Operations(store, hub, SILENT);
  const large = (id: string) => {
    const command = register(id) as Extract<Command, { kind: "register" }>;
    return { ...command, instance: { ...command.instance, metadata: { k: "v".repeat(4_000) } } };
  };
  const outcomes = await Promise.all(Array.from({ length: 600 }, (_, n) => operations.execute(caller, large(`i${n}`))));
  const read = await operations.read(caller, local, NO_REVISION);
  assert.ok(!isRefusal(read));
  const bytes = read.set[0]?.bytes ?? 0;
  assert.ok(bytes > MAX_SERVICE_BYTES - 8_192 && bytes <= MAX_SERVICE_BYTES, `${bytes} bytes`);
  const refused = outcomes.filter(isRefusal).map(({ code }) => code);
  assert.deepEqual([...new Set(refused)], ["too_large"]);
});

Deno.test("execute() answers when the map shows the write", async () => {
  await using store = openMemoryStore();
  await using hub = await openHub({ store, log: SILENT, now: () => 7 });
  const operations = new Operations(store, hub, SILENT);
  for (let n = 0; n < 20; n++) {
    const written = await operations.execute(caller, register(`i${n}`));
    assert.ok(written.kind === "written" && hub.current().position.revision >= written.revision);
  }
});

Deno.test("execute() says what became of a write that the store did not take", async () => {
  const answers: [Commit, string][] = [
    [{ kind: "refused", reason: "the disk is full" }, "unavailable"],
    [{ kind: "unknown", reason: "no answer" }, "unknown"],
  ];
  for (const [commit, code] of answers) {
    let broken = false;
    await using store = answering(openMemoryStore(), () => broken ? commit : undefined);
    await using hub = await openHub({ store, log: SILENT, now: () => 7 });
    broken = true;
    const outcome = await new Operations(store, hub, SILENT).execute(caller, register("i"));
    assert.ok(isRefusal(outcome));
    assert.equal(outcome.code, code);
    assert.match(outcome.message, /the disk is full|no answer/);
  }
});

Deno.test("execute() logs who changed what and why", async () => {
  const lines: string[] = [];
  await using store = openMemoryStore();
  await using hub = await openHub({ store, log: SILENT, now: () => 7 });
  const operations = new Operations(store, hub, createLog("test", (line) => lines.push(line)));
  await operations.execute(caller, register("i"));
  await operations.execute(caller, register("i"));
  await operations.execute(caller, { kind: "deregister", ...local, service: "a", id: "j" } as unknown as Command);
  const logged = lines.map((line) => JSON.parse(line));
  assert.deepEqual(logged.map(({ message, operation, identity, reason }) => [message, operation, identity, reason]), [
    ["Changed the map", "register", "alice", "because"],
    ["Refused a change", "deregister", "alice", "because"],
  ]);
});

Deno.test("read() waits for the revision it was asked to see, and says so when it does not come", async () => {
  await using store = openMemoryStore();
  await using hub = await openHub({ store, log: SILENT, now: () => 7 });
  const operations = new Operations(store, hub, SILENT, { minRevisionWaitMs: 10 });
  const next = (hub.current().position.revision + 1n) as Revision;
  const reading = operations.read(caller, local, next);
  await operations.execute(caller, register("i"));
  const read = await reading;
  assert.ok(!isRefusal(read) && read.position.revision === next);
  const late = await operations.read(caller, local, (next + 1n) as Revision);
  assert.ok(isRefusal(late) && late.code === "unavailable");
});
