/** What every store promises of sweeps. */
import assert from "node:assert/strict";
import { NO_REVISION } from "../domain/names.ts";
import { contents, put, revisionOf, take, type Test } from "./suite.ts";

export function testSweeping(test: Test): void {
  testBatches(test);
  testOrder(test);
  testRefusing(test);
}

function testBatches(test: Test): void {
  test("commit() sweeps all keys under a prefix that are there, and its batch names each", async ({ store }) => {
    const keys = ["a/😀", "a/\uffff", "a/b", "a", "a0", "a/", "b"];
    const first = revisionOf(await store.commit(keys.map((key) => put(key, "1"))));
    const writes = [put("c", "2"), { prefix: "a/" }, { key: "b" }, put("d", "2")];
    const second = revisionOf(await store.commit(writes));
    assert.deepEqual(await contents(store), [
      ["a", "1", first],
      ["a0", "1", first],
      ["c", "2", second],
      ["d", "2", second],
    ]);
    const [batch] = await take(store, "", first, 1);
    assert.deepEqual(batch, {
      revision: second,
      writes: [writes[0], { key: "a/" }, { key: "a/b" }, { key: "a/\uffff" }, { key: "a/😀" }, { key: "b" }, writes[3]],
    });
    assert.deepEqual(await Array.fromAsync(store.history("", first)), [batch]);
    assert.deepEqual((await take(store, "a/b", first, 1))[0]?.writes, [{ key: "a/b" }]);
  });

  test("watch() hands on the objects that were given to commit()", async ({ store }) => {
    const writes = [put("a", "1"), { key: "gone" }, put("b/1", "1")];
    await store.commit([...writes, { prefix: "c" }]);
    const [whole] = await take(store, "", NO_REVISION, 1);
    assert.ok(whole?.writes.length === 3 && whole.writes.every((write, at) => write === writes[at]));
    const [part] = await take(store, "b/", NO_REVISION, 1);
    assert.ok(part?.writes.length === 1 && part.writes[0] === writes[2]);
  });
}

function testOrder(test: Test): void {
  test("commit() sweeps what commits before it wrote, though they came at the same time", async ({ store }) => {
    const commits = await Promise.all([
      store.commit([put("a/1", "1")]),
      store.commit([{ prefix: "a/" }]),
      store.commit([put("a/2", "1"), put("b", "1")]),
      store.commit([{ prefix: "" }], [{ key: "b", revision: NO_REVISION }]),
    ]);
    assert.deepEqual(commits.map(({ kind }) => kind), ["committed", "committed", "committed", "conflict"]);
    assert.deepEqual((await contents(store)).map(([key]) => key), ["a/2", "b"]);
    await store.commit([{ prefix: "" }]);
    assert.deepEqual(await contents(store), []);
  });

  test("commit() of sweeps that find nothing is none, and says how far the store is", async ({ store }) => {
    assert.deepEqual(await store.commit([{ prefix: "a/" }]), { kind: "committed", revision: NO_REVISION });
    const commits = await Promise.all([
      store.commit([put("a/1", "1")]),
      store.commit([{ prefix: "a/1/" }, { prefix: "b/" }]),
      store.commit([{ prefix: "a/" }, { prefix: "b/" }]),
    ]);
    const [first, nothing, second] = commits.map(revisionOf);
    assert.deepEqual([nothing, (await store.read("")).revision], [first, second]);
    const batches = [{ revision: first, writes: [put("a/1", "1")] }, { revision: second, writes: [{ key: "a/1" }] }];
    assert.deepEqual(await take(store, "", NO_REVISION, 2), batches);
    assert.deepEqual(await Array.fromAsync(store.history("", NO_REVISION)), batches);
  });
}

function testRefusing(test: Test): void {
  test("commit() refuses to write a key twice, by a sweep too", async ({ store }) => {
    const revision = revisionOf(await store.commit([put("a/1", "1")]));
    for (
      const writes of [
        [{ prefix: "a/" }, put("a/1", "2")],
        [put("a/2", "2"), { prefix: "a/" }],
        [{ key: "a/1" }, { prefix: "a/1" }],
        [{ prefix: "a/" }, { prefix: "a/" }],
        [{ prefix: "a" }, { prefix: "b" }, { prefix: "a/" }],
        [{ prefix: "a/" }, { prefix: "b" }, { prefix: "a" }],
        [{ prefix: "" }, put("a", "2")],
        [{ prefix: "a\0" }],
        [{ prefix: "\ud800" }],
      ]
    ) {
      const commit = await store.commit(writes);
      assert.match(commit.kind === "refused" ? commit.reason : commit.kind, /^Cannot write key ".*": expected /);
    }
    assert.deepEqual(await contents(store), [["a/1", "1", revision]]);
    assert.equal((await store.commit([{ prefix: "a/1/" }, put("a/1", "2"), { prefix: "a/2" }])).kind, "committed");
  });
}
