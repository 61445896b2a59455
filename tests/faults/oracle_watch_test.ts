import assert from "node:assert/strict";
import { CommittedLog } from "./committed_log.ts";
import type { Operation } from "./model.ts";
import { type At, type Update, WatchOracle } from "./oracle_watch.ts";

const ROUTE = { version: 1, split: [] };
const put = (service: string, alias: string): Operation => ({ kind: "put_alias", service, alias, route: ROUTE });
const register = (service: string, port: number): Operation => ({
  kind: "register",
  service,
  id: "i",
  instance: { port, version: 1, weight: 1, hostId: "h", metadata: {} },
});

/** What was committed, revision by revision; the two services of the host change together. */
const OPERATIONS: readonly Operation[] = [
  register("local/a", 1),
  register("local/b", 1),
  put("other/a", "x"),
  { kind: "drain_host", realm: "local", hostId: "h", services: ["local/a", "local/b"] },
  register("local/a", 2),
  { kind: "delete_service", service: "local/b" },
  register("local/c", 1),
];

const at = (revision: number): At => ({ epoch: 1n, revision: BigInt(revision) });

function logOf(operations: readonly Operation[]): CommittedLog {
  const log = new CommittedLog(1n, 0n);
  // The order of acknowledgements is not that of commits.
  for (let n = operations.length; n > 0; n--) {
    log.add({ revision: BigInt(n), operation: operations[n - 1] as Operation });
  }
  return log;
}

const LOG = logOf(OPERATIONS);

/** An update as the control plane would make it, of these services at this revision. */
function update(revision: number, names: string, { complete = false, of = revision } = {}): Update {
  const all = [...names].map((name) => ({ name, text: LOG.at(`local/${name}`, BigInt(of)) }));
  return {
    position: at(revision),
    complete,
    set: all.flatMap(({ name, text }) => text === undefined ? [] : [{ name, text }]),
    deleted: all.filter(({ text }) => text === undefined).map(({ name }) => name),
  };
}

/** What is wrong with updates that one subscription brought; the word that begins the sentence. */
function found(updates: readonly Update[], after?: At, services: readonly string[] = []): string | undefined {
  const oracle = new WatchOracle("watcher", "local", (epoch) => epoch === 1n ? LOG : undefined);
  try {
    oracle.subscribed(services, after);
    for (const one of updates) oracle.updated(one);
    oracle.assertChecked();
    return undefined;
  } catch (error) {
    return /^watcher: ([a-z ]+)/.exec((error as Error).message)?.[1] ?? (error as Error).message;
  }
}

const snapshot = update(2, "ab", { complete: true });

Deno.test("a watcher that got everything passes: one by one, melted, resumed, in a scope", () => {
  assert.equal(found([snapshot, update(4, "ab"), update(5, "a"), update(6, "b"), update(7, "c")]), undefined);
  assert.equal(found([snapshot, update(3, ""), update(7, "abc")]), undefined);
  assert.equal(found([update(7, "abc")], at(2)), undefined);
  assert.equal(found([update(4, "b"), update(6, "b"), update(7, "")], at(2), ["b"]), undefined);
  // Bookmarks repeat a position.
  assert.equal(found([snapshot, update(2, ""), update(2, "")]), undefined);
});

Deno.test("a lost event is found", () => {
  assert.equal(found([snapshot, update(5, "ab"), update(7, "c")]), "lost");
  assert.equal(found([snapshot, update(7, "")]), "lost");
  assert.equal(found([update(2, "a", { complete: true })]), "lost");
  assert.equal(found([update(6, "")], at(5), ["b"]), "lost");
});

Deno.test("a doubled event is found", () => {
  assert.equal(found([snapshot, update(4, "ab"), update(5, "ab")]), "doubled");
  assert.equal(found([snapshot, update(4, "ab"), update(4, "ab")]), "doubled");
  assert.equal(found([update(5, "a")], at(5)), "doubled");
});

Deno.test("a reordered event is found", () => {
  assert.equal(found([snapshot, update(5, "ab"), update(4, "ab")]), "reordered");
  assert.equal(found([snapshot, update(5, "ab"), { ...snapshot }]), "reordered");
});

Deno.test("a torn update is found", () => {
  // One service of a commit that changed two.
  assert.equal(found([snapshot, update(4, "a")]), "lost");
  // A service as it was before, or will be.
  assert.equal(found([snapshot, update(4, "ab", { of: 3 })]), "torn");
  assert.equal(found([snapshot, update(4, "ab", { of: 5 })]), "torn");
  assert.equal(found([snapshot, update(5, "ab"), update(6, "b", { of: 5 })]), "torn");
  // A difference to what is not held.
  assert.equal(found([update(4, "ab")]), "torn");
});

Deno.test("what does not belong to a watcher is found", () => {
  assert.equal(found([update(5, "ab")], at(2), ["a"]), "leaked");
  assert.equal(found([update(7, "ac", { complete: true })], at(2)), "not resumed");
  assert.match(found([{ ...snapshot, position: { epoch: 9n, revision: 1n } }]) ?? "", /beyond the log/);
  assert.match(found([{ ...snapshot, position: at(99) }]) ?? "", /beyond the log/);
});

Deno.test("the log itself tells of writes that were told one revision, and of ones that nobody was told", () => {
  const log = logOf(OPERATIONS);
  log.assertWhole();
  assert.throws(() => log.add({ revision: 7n, operation: put("local/a", "x") }), /Two writes/);
  log.add({ revision: 9n, operation: put("local/a", "x") });
  assert.equal(log.settled, 7n);
  assert.throws(() => log.assertWhole(), /Nobody was told revision 8, though revision 9 was/);
  const nothing: Operation = { kind: "drain_host", realm: "local", hostId: "no", services: ["local/a"] };
  assert.throws(() => log.add({ revision: 8n, operation: nothing }), /changed nothing/);
});
