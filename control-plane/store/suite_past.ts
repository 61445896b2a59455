/** What every store promises of its past. */
import assert from "node:assert/strict";
import { NO_REVISION, type Revision } from "../domain/names.ts";
import { type Batch, Lost, type Snapshot, type Store } from "./store.ts";
import { contents, put, range, revisionOf, take, type Test, text, writeTogether } from "./suite.ts";

export function testPast(test: Test): void {
  testReadingThePast(test);
  testSeveralPrefixes(test);
  testHistory(test);
  testEnding(test);
  testForgetting(test);
}

function testReadingThePast(test: Test): void {
  test("read() gives what was there at every revision, also after a restart", async (subject) => {
    let { store } = subject;
    const snapshots = [await store.read("")];
    for (
      const writes of [
        [put("a/2", "1"), put("b", "1")],
        [put("a/1", "1"), put("a/2", "2")],
        [{ key: "a/2" }, { key: "never" }],
        [{ prefix: "a/" }, put("b", "2")],
        [put("a/2", "3"), put("a/\uffff", "3"), put("a/😀", "3")],
        [{ key: "b" }, put("a/0", ""), { key: "a/\uffff" }],
      ]
    ) {
      await store.commit(writes);
      snapshots.push(await store.read(""));
    }
    for (const again of [false, true]) {
      if (again) store = await subject.reopen?.() ?? store;
      for (const snapshot of snapshots) {
        assert.deepEqual(await store.read("", snapshot.revision), snapshot);
        const part = snapshot.entries.filter(({ key }) => key.startsWith("a/"));
        assert.deepEqual(await store.read("a/", snapshot.revision), { ...snapshot, entries: part });
      }
    }
    assert.deepEqual(await store.read("", 1n << 60n as Revision), snapshots.at(-1));
  });

  test("read() and history() of much that is past hold while commits go on and others forget", async ({ store }) => {
    const keys = range(700).map((one) => `k${one}`);
    const old = revisionOf(await store.commit(keys.map((key) => put(key, "0"))));
    for (const round of range(3)) {
      await Promise.all(keys.map((key) => store.commit([round === 1 ? { key } : put(key, `${round}`)])));
    }
    const then = await store.read("");
    const until = revisionOf(await store.commit(keys.slice(300, 400).map((key) => ({ key }))));
    const reading = store.read("", until);
    const early = store.read("k", old);
    const history = Array.fromAsync(store.history("", until - 200n as Revision));
    const meanwhile = range(40).map((one) =>
      store.commit([put(`a${one}`, "x"), { key: keys[2 * one]! }, { prefix: "k6" }])
    );
    const forgetting = store.forget(old);
    assert.deepEqual(
      (await early).entries.map(({ key, value }) => [key, text(value)]),
      keys.toSorted().map((key) => [key, "0"]),
    );
    const left = then.entries.filter(({ key }) => !keys.slice(300, 400).includes(key));
    assert.deepEqual(await reading, { revision: until, entries: left });
    assert.deepEqual(
      (await history).map(({ revision }) => revision),
      range(200).map((one) => until - 199n + BigInt(one)),
    );
    await Promise.all([...meanwhile, forgetting]);
    assert.equal(store.remembered(), old);
  });
}

function testSeveralPrefixes(test: Test): void {
  test("read() of several prefixes gives what is under any of them, as it is and as it was", async ({ store }) => {
    const prefixes = ["b/1/", "a/", "none", "b/20/", "b/3"];
    const keys = ["a/", "b/1/x", "b/2/x", "b/20/x", "b/", "c", ...range(1_200).map((one) => `b/3${one}`)];
    for (const value of ["old", "new"]) await store.commit(keys.map((key) => put(key, value)));
    await store.commit([{ prefix: "b/20/" }, { prefix: "b/3" }, put("a/1", "late"), put("b/4", "late")]);
    const { revision: newest } = await store.read("");
    for (let at = NO_REVISION; at <= newest; at++) {
      const { revision, entries } = await store.read("", at);
      const expected = entries.filter(({ key }) => prefixes.some((prefix) => key.startsWith(prefix)));
      assert.deepEqual(await store.read(prefixes, at), { revision, entries: expected });
    }
    assert.deepEqual(await store.read([]), { revision: newest, entries: [] });
    assert.deepEqual((await store.read([], NO_REVISION)).entries, []);
  });
}

function testHistory(test: Test): void {
  test("history() gives every commit that a watch delivered, whole, in order, also after a restart", async (subject) => {
    let { store } = subject;
    const revisions = await writeTogether(store, 30);
    await store.commit([{ key: "k1" }, { prefix: "l" }, { key: "never" }, put("m", "")]);
    const watched = await take(store, "", NO_REVISION, 31);
    for (const again of [false, true]) {
      if (again) store = await subject.reopen?.() ?? store;
      for (const after of [NO_REVISION, revisions[0]!, revisions[17]!, revisions[29]!]) {
        const expected = watched.filter(({ revision }) => revision > after);
        assert.deepEqual(await Array.fromAsync(store.history("", after)), expected);
        assert.deepEqual(await Array.fromAsync(store.history("k1", after)), partsOf(expected, "k1"));
      }
      assert.deepEqual(await Array.fromAsync(store.history("none", NO_REVISION)), []);
      assert.deepEqual(await Array.fromAsync(store.history("", 1_000n as Revision)), []);
    }
  });

  test("history() gives commits whole, however many keys they have", async ({ store }) => {
    const sizes = [1, 700, 3, 1_200, 1];
    for (const size of sizes) await store.commit(range(size).map((one) => put(`${one % 2}/${one}`, `${size}`)));
    const batches = await Array.fromAsync(store.history("", NO_REVISION));
    assert.deepEqual(batches, await take(store, "", NO_REVISION, sizes.length));
    assert.deepEqual(batches.map(({ writes }) => writes.length), sizes);
    const odd = (await Array.fromAsync(store.history("1/", NO_REVISION))).map(({ writes }) => writes.length);
    assert.deepEqual(odd, [350, 1, 600]);
  });

  test("history() ends at what was newest when it was called", async ({ store }) => {
    const before = await writeTogether(store, 3);
    const history = store.history("", before[0]!);
    await writeTogether(store, 3);
    const seen = [];
    for await (const { revision } of history) {
      seen.push(revision);
      await writeTogether(store, 1);
    }
    assert.deepEqual(seen, before.slice(1));
  });

  test("history() is lost when what comes next was forgotten meanwhile", async ({ store }) => {
    const revisions = await writeTogether(store, 2_000);
    const history = store.history("", NO_REVISION)[Symbol.asyncIterator]();
    assert.equal((await history.next()).value?.revision, revisions[0]);
    await store.forget(revisions.at(-1)!);
    await writeTogether(store, 1);
    await assert.rejects(async () => {
      for (let next = await history.next(); !next.done; next = await history.next());
    }, Lost);
  });
}

function testEnding(test: Test): void {
  test("history() ends at a revision that it is given", async ({ store }) => {
    const revisions = await writeTogether(store, 1_000);
    const [after, upTo] = [revisions[299]!, revisions[699]!];
    const batches = await Array.fromAsync(store.history("", after, { upTo }));
    assert.deepEqual(batches.map(({ revision }) => revision), revisions.slice(300, 700));
    assert.deepEqual(await Array.fromAsync(store.history("", upTo, { upTo: after })), []);
    const all = await Array.fromAsync(store.history("", after, { upTo: 1n << 60n as Revision }));
    assert.equal(all.at(-1)?.revision, revisions.at(-1));
  });

  test("read(), history() and forget() end with their signal", async ({ store }) => {
    const revisions = await writeTogether(store, 2_000);
    const gone = new AbortController();
    const { signal } = gone;
    const history = store.history("", NO_REVISION, { signal })[Symbol.asyncIterator]();
    assert.equal((await history.next()).value?.revision, revisions[0]);
    gone.abort(new Error("nobody waits"));
    await assert.rejects(async () => {
      for (let next = await history.next(); !next.done; next = await history.next());
    }, /nobody waits/);
    for (const at of [revisions[0]!, revisions.at(-1)!]) {
      await assert.rejects(store.read("", at, signal), /nobody waits/);
    }
    await assert.rejects(Array.fromAsync(store.history("", NO_REVISION, { signal })), /nobody waits/);
    await assert.rejects(store.forget(revisions.at(-1)!, signal), /nobody waits/);
    // What was not freed is by the next one.
    await store.forget(revisions.at(-1)!);
    assert.deepEqual(await Array.fromAsync(store.history("", revisions.at(-1)!)), []);
  });
}

function testForgetting(test: Test): void {
  test("forget() ends the past before a revision, also after a restart, and leaves the rest whole", async (subject) => {
    let { store } = subject;
    assert.equal(store.remembered(), NO_REVISION);
    const revisions = await writeTogether(store, 40);
    const [upTo, later] = [revisions[19]!, revisions[27]!];
    const kept: readonly [Snapshot, Snapshot, readonly Batch[]] = await past(store, upTo, later);
    await store.forget(upTo);
    await store.forget(revisions[3]!);
    for (const again of [false, true]) {
      if (again) store = await subject.reopen?.() ?? store;
      assert.equal(store.remembered(), upTo);
      assert.deepEqual(await past(store, upTo, later), kept);
      await assert.rejects(store.read("", revisions[18]!), Lost);
      await assert.rejects(Array.fromAsync(store.history("", revisions[18]!)), Lost);
      await assert.rejects(Array.fromAsync(store.history("none", NO_REVISION)), Lost);
    }
  });

  test("forget() of all that was leaves what is, and goes on from there", async (subject) => {
    let { store } = subject;
    await writeTogether(store, 20);
    await store.commit([{ prefix: "l" }, { prefix: "k" }, put("a", "1")]);
    const newest = await store.read("");
    await store.forget(1n << 60n as Revision);
    for (const again of [false, true]) {
      if (again) store = await subject.reopen?.() ?? store;
      assert.equal(store.remembered(), newest.revision);
      assert.deepEqual(await store.read(""), newest);
      assert.deepEqual(await Array.fromAsync(store.history("", newest.revision)), []);
    }
    const revision = revisionOf(await store.commit([put("a", "2")]));
    assert.ok(revision > newest.revision);
    assert.deepEqual(await Array.fromAsync(store.history("", newest.revision)), [{
      revision,
      writes: [put("a", "2")],
    }]);
    assert.deepEqual(await store.read("", newest.revision), newest);
    assert.deepEqual(await contents(store), [["a", "2", revision]]);
  });
}

function partsOf(batches: readonly Batch[], prefix: string): readonly Batch[] {
  return batches
    .map(({ revision, writes }) => ({ revision, writes: writes.filter(({ key }) => key.startsWith(prefix)) }))
    .filter(({ writes }) => writes.length > 0);
}

async function past(
  store: Store,
  at: Revision,
  later: Revision,
): Promise<readonly [Snapshot, Snapshot, readonly Batch[]]> {
  return [await store.read("", at), await store.read("k", later), await Array.fromAsync(store.history("", at))];
}
