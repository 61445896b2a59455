/** What every store promises (`store.ts`), as tests: a store is done when they pass. */
import assert from "node:assert/strict";
import { NO_REVISION, type Revision } from "../domain/names.ts";
import type { FeedLimits } from "./feed.ts";
import { type Batch, type Commit, Lost, type Store, type Write } from "./store.ts";
import { testAgainstModel } from "./suite_model.ts";
import { testPast } from "./suite_past.ts";
import { testSweeping } from "./suite_sweep.ts";

/** One store under test. */
export interface Subject extends AsyncDisposable {
  readonly store: Store;
  /** Closes the store and opens it again, where it outlives its process. */
  readonly reopen?: () => Promise<Store>;
}

/** An empty store; `limits` are for those that keep commits for watches in memory. */
export type MakeSubject = (limits?: FeedLimits) => Promise<Subject>;

/** Registers the tests of one store. */
export function testStore(name: string, make: MakeSubject): void {
  const test = (title: string, run: (subject: Subject) => Promise<void>, limits?: FeedLimits) =>
    Deno.test(`${name}: ${title}`, async () => {
      await using subject = await make(limits);
      await run(subject);
    });
  testReading(test);
  testCommitting(test);
  testWatching(test);
  testFallingBehind(test);
  testLosing(test);
  testSweeping(test);
  testPast(test);
  testClosing(test);
  testAgainstModel(name, make);
}

/** Registers one test with a store of its own. */
export type Test = (title: string, run: (subject: Subject) => Promise<void>, limits?: FeedLimits) => void;

function testReading(test: Test): void {
  test("read() of an empty store is nothing at revision 0", async ({ store }) => {
    assert.deepEqual(await store.read(""), { revision: 0n, entries: [] });
  });

  test("read() gives everything under a prefix, in byte order of keys", async ({ store }) => {
    const keys = ["b", "a/", "a/😀", "a/\uffff", "a/é", "a/Z", "a/a", "a0", "a"];
    const revision = revisionOf(await store.commit(keys.map((key) => put(key, key))));
    const { entries } = await store.read("a/");
    assert.deepEqual(entries.map(({ key }) => key), ["a/", "a/Z", "a/a", "a/é", "a/\uffff", "a/😀"]);
    for (const { key, value, revision: written } of entries) assert.deepEqual([text(value), written], [key, revision]);
    assert.equal((await store.read("")).entries.length, keys.length);
    assert.deepEqual(await store.read("c"), { revision, entries: [] });
  });

  test("read() keeps values as they were written, empty ones too", async ({ store }) => {
    const bytes = Uint8Array.from({ length: 256 }, (_, at) => at);
    await store.commit([{ key: "all", value: bytes }, { key: "none", value: new Uint8Array(0) }]);
    const { entries } = await store.read("");
    assert.deepEqual(entries.map(({ value }) => [...value]), [[...bytes], []]);
  });
}

function testCommitting(test: Test): void {
  test("commit() puts and deletes all of its writes at one revision", async ({ store }) => {
    await store.commit([put("a", "1"), put("b", "1")]);
    const revision = revisionOf(await store.commit([put("a", "2"), { key: "b" }, put("c", "2"), { key: "never" }]));
    assert.deepEqual(await contents(store), [["a", "2", revision], ["c", "2", revision]]);
  });

  test("commit() has a higher revision than all before it, also after deleting all", async (subject) => {
    const revisions = [revisionOf(await subject.store.commit([put("a", "1")]))];
    revisions.push(revisionOf(await subject.store.commit([{ key: "a" }])));
    const store = await subject.reopen?.() ?? subject.store;
    assert.deepEqual(await store.read(""), { revision: revisions.at(-1), entries: [] });
    revisions.push(revisionOf(await store.commit([put("a", "1")])));
    assert.deepEqual(revisions, revisions.toSorted((a, b) => Number(a - b)));
    assert.equal(new Set(revisions).size, 3);
  });

  test("commit() writes nothing if one of its guards does not hold", async ({ store }) => {
    const first = revisionOf(await store.commit([put("a", "1"), put("b", "1")]));
    const stale = [{ key: "a", revision: first }, { key: "b", revision: NO_REVISION }];
    assert.deepEqual(await store.commit([put("a", "2"), put("c", "2")], stale), { kind: "conflict" });
    assert.deepEqual(await store.read(""), {
      revision: first,
      entries: ["a", "b"].map((key) => ({ key, value: put(key, "1").value, revision: first })),
    });
    assert.equal((await store.commit([put("a", "2")], [{ key: "b", revision: first }])).kind, "committed");
    assert.equal((await store.commit([put("d", "2")], [{ key: "d", revision: NO_REVISION }])).kind, "committed");
    assert.equal((await store.commit([put("d", "3")], [{ key: "d", revision: NO_REVISION }])).kind, "conflict");
  });

  test("commit() lets one of many win that rely on the same", async ({ store }) => {
    const guards = [{ key: "lock", revision: NO_REVISION }];
    const commits = await Promise.all(range(50).map((one) => store.commit([put("lock", `${one}`)], guards)));
    assert.deepEqual(count(commits.map(({ kind }) => kind)), { committed: 1, conflict: 49 });
    // Nothing is lost between readers that write back what they read, however they interleave.
    await Promise.all(range(5).map(() => increment(store, "counter", 10)));
    assert.equal(text((await store.read("counter")).entries[0]!.value), "50");
  });

  test("commit() refuses what no store could give back", async ({ store }) => {
    for (
      const writes of [[], [put("a", "1"), put("a", "2")], [put("a\0b", "1")], [put("a", "1"), put("\ud800", "1")]]
    ) {
      const commit = await store.commit(writes);
      assert.equal(commit.kind, "refused");
      assert.match(commit.kind === "refused" ? commit.reason : "", /^Cannot .+: expected /);
    }
    assert.deepEqual(await store.read(""), { revision: 0n, entries: [] });
  });
}

function testWatching(test: Test): void {
  test("watch() delivers every commit once, whole, in order, from any start", async ({ store }) => {
    const revisions = await writeTogether(store, 30);
    for (const after of [NO_REVISION, revisions[0]!, revisions[17]!, revisions[28]!]) {
      const expected = revisions.filter((revision) => revision > after);
      const batches = await take(store, "", after, expected.length);
      assert.deepEqual(batches.map(({ revision }) => revision), expected);
      for (const { writes } of batches) assert.deepEqual(writes.map(({ key }) => key[0]), ["k", "l"]);
    }
  });

  test("watch() delivers only writes under its prefix, deletions among them", async ({ store }) => {
    await store.commit([put("a/1", "1"), put("b/1", "1")]);
    const second = revisionOf(await store.commit([put("b/2", "1")]));
    const third = revisionOf(await store.commit([put("b/2", "2"), { key: "a/1" }, put("a", "2")]));
    assert.deepEqual(await take(store, "a/", second, 1), [{ revision: third, writes: [{ key: "a/1" }] }]);
    assert.deepEqual((await take(store, "b/", NO_REVISION, 3)).map(({ writes }) => writes.map(({ key }) => key)), [
      ["b/1"],
      ["b/2"],
      ["b/2"],
    ]);
  });

  test("watch() waits for what comes, and what it delivered can be read", async ({ store }) => {
    const end = new AbortController();
    const seen: Revision[] = [];
    const reading = (async () => {
      for await (const { revision } of store.watch("", NO_REVISION, end.signal)) {
        assert.ok((await store.read("")).revision >= revision);
        if (seen.push(revision) === 20) end.abort();
      }
    })();
    const written: Revision[] = [];
    for (const one of range(20)) written.push(revisionOf(await store.commit([put("a", `${one}`)])));
    await reading;
    assert.deepEqual(seen, written);
  });

  test("watch() from a revision that is yet to come begins there", async ({ store }) => {
    const batches = take(store, "", 2n as Revision, 1);
    const revisions = await writeTogether(store, 3);
    assert.deepEqual((await batches).map(({ revision }) => revision), [revisions[2]]);
  });

  test("watch() ends with its signal, before, between and while waiting", async ({ store }) => {
    assert.deepEqual(await drain(store, AbortSignal.abort()), []);
    await store.commit([put("a", "1")]);
    const end = new AbortController();
    const watch = store.watch("", NO_REVISION, end.signal)[Symbol.asyncIterator]();
    assert.equal((await watch.next()).done, false);
    const waiting = watch.next();
    end.abort();
    assert.equal((await waiting).done, true);
    const second = new AbortController();
    for await (const _ of store.watch("", NO_REVISION, second.signal)) second.abort();
  });
}

const few: FeedLimits = { batches: 10, bytes: 1 << 20 };

function testFallingBehind(test: Test): void {
  test(
    "watch() goes on from the log where commits are no longer at hand, and is lost below what is remembered",
    async ({ store }) => {
      const revisions = await writeTogether(store, 30);
      for (const from of range(30)) {
        const after = revisions[from - 1] ?? NO_REVISION;
        const batches = await take(store, "", after, 30 - from);
        assert.deepEqual(batches.map(({ revision }) => revision), revisions.slice(from));
      }
      assert.deepEqual((await take(store, "l3", NO_REVISION, 4)).map(({ writes }) => writes.map(({ key }) => key)), [
        ["l3"],
        ["l3"],
        ["l3"],
        ["l3"],
      ]);
      await store.forget(revisions[11]!);
      await assert.rejects(take(store, "", revisions[10]!, 1), Lost);
      assert.deepEqual(
        (await take(store, "", revisions[11]!, 18)).map(({ revision }) => revision),
        revisions.slice(12),
      );
      const next = take(store, "none", revisions[11]!, 1);
      const last = revisionOf(await store.commit([put("none", "1")]));
      assert.deepEqual((await next).map(({ revision }) => revision), [last]);
    },
    few,
  );

  test(
    "watch() of a reader that falls behind delays nobody, and leaves out and doubles nothing while commits go on",
    async ({ store }) => {
      const slow = store.watch("", NO_REVISION, new AbortController().signal)[Symbol.asyncIterator]();
      const quick = take(store, "", NO_REVISION, 180);
      const written = [...await writeTogether(store, 1)];
      const seen = [(await slow.next()).value?.revision];
      // 59 commits behind now; then it reads one of them for each two that come.
      for (const turn of range(60)) {
        if (turn > 0) written.push(...await writeTogether(store, turn === 1 ? 59 : 2));
        if (turn > 1) seen.push((await slow.next()).value?.revision);
      }
      written.push(...await writeTogether(store, 4));
      while (seen.length < written.length) seen.push((await slow.next()).value?.revision);
      assert.deepEqual(seen, written);
      assert.deepEqual((await quick).map(({ revision }) => revision), written);
      await slow.return?.();
    },
    few,
  );
}

function testLosing(test: Test): void {
  test("watch() is lost when what its reader is behind by is forgotten", async ({ store }) => {
    const slow = store.watch("", NO_REVISION, new AbortController().signal)[Symbol.asyncIterator]();
    const [first] = await writeTogether(store, 1);
    assert.equal((await slow.next()).value?.revision, first);
    const revisions = await writeTogether(store, 59);
    await store.forget(revisions[1]!);
    await assert.rejects(slow.next(), Lost);
    assert.deepEqual((await take(store, "", revisions[1]!, 57)).length, 57);
  }, few);

  test("watch() keeps the newest commit at hand however large it is", async ({ store }) => {
    const large = { key: "a", value: new Uint8Array(5_000) };
    const revisions = [];
    for (const _ of range(3)) revisions.push(revisionOf(await store.commit([large])));
    assert.equal((await take(store, "", revisions[1]!, 1))[0]?.writes[0], large);
    assert.deepEqual((await take(store, "", NO_REVISION, 3)).map(({ revision }) => revision), revisions);
  }, { batches: 10, bytes: 4_000 });
}

function testClosing(test: Test): void {
  test("dispose answers what is under way, and what comes after it fails", async (subject) => {
    const { store } = subject;
    const watch = store.watch("", NO_REVISION, new AbortController().signal)[Symbol.asyncIterator]();
    const waiting = watch.next().then(() => watch.next());
    const commits = range(20).map((one) => store.commit([put(`${one}`, "1")]));
    const closing = store[Symbol.asyncDispose]();
    assert.deepEqual(count((await Promise.all(commits)).map(({ kind }) => kind)), { committed: 20 });
    await closing;
    await store[Symbol.asyncDispose]();
    await assert.rejects(waiting, /closed/);
    await assert.rejects(store.commit([put("late", "1")]), /closed/);
    await assert.rejects(store.read(""), /closed/);
    await assert.rejects(store.read("", NO_REVISION), /closed/);
    await assert.rejects(Array.fromAsync(store.history("", NO_REVISION)), /closed/);
    await assert.rejects(store.forget(NO_REVISION), /closed/);
    const reopened = await subject.reopen?.();
    if (reopened) assert.equal((await reopened.read("")).entries.length, 20);
  });
}

/** A write of text. */
export function put(key: string, value: string): Write & { readonly value: Uint8Array } {
  return { key, value: new TextEncoder().encode(value) };
}

export function text(value: Uint8Array): string {
  return new TextDecoder().decode(value);
}

/** The revision of a commit that has to succeed. */
export function revisionOf(commit: Commit): Revision {
  if (commit.kind !== "committed") assert.fail(`expected a commit, got ${JSON.stringify(commit)}`);
  return commit.revision;
}

/** What a store holds, to be compared. */
export async function contents(store: Store): Promise<readonly (readonly [string, string, Revision])[]> {
  return (await store.read("")).entries.map(({ key, value, revision }) => [key, text(value), revision] as const);
}

/** The next `wanted` batches of a watch. */
export async function take(store: Store, prefix: string, after: Revision, wanted: number): Promise<readonly Batch[]> {
  const end = new AbortController();
  const batches: Batch[] = [];
  for await (const batch of store.watch(prefix, after, end.signal)) {
    if (batches.push(batch) === wanted) end.abort();
  }
  return batches;
}

async function drain(store: Store, signal: AbortSignal): Promise<readonly Batch[]> {
  return await Array.fromAsync(store.watch("", NO_REVISION, signal));
}

/** `wanted` commits of two keys each, all at once; their revisions, which rise as they were made. */
export async function writeTogether(store: Store, wanted: number): Promise<readonly Revision[]> {
  const commits = await Promise.all(
    range(wanted).map((one) => store.commit([put(`k${one % 7}`, `${one}`), put(`l${one % 7}`, `${one}`)])),
  );
  const revisions = commits.map(revisionOf);
  for (const at of range(wanted - 1)) assert.ok(revisions[at]! < revisions[at + 1]!);
  return revisions;
}

async function increment(store: Store, key: string, times: number): Promise<void> {
  for (let done = 0; done < times;) {
    const entry = (await store.read(key)).entries[0];
    const next = Number(entry ? text(entry.value) : 0) + 1;
    const guards = [{ key, revision: entry?.revision ?? NO_REVISION }];
    if ((await store.commit([put(key, `${next}`)], guards)).kind === "committed") done += 1;
  }
}

export function range(length: number): readonly number[] {
  return Array.from({ length }, (_, at) => at);
}

function count(words: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}
