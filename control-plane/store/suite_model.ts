/** Random operations on a store, held against a model of it. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { NO_REVISION, type Revision } from "../domain/names.ts";
import type { Batch, Commit, Entry, Guard, Store, Write } from "./store.ts";
import { type MakeSubject, put, revisionOf, take } from "./suite.ts";

/** Registers the test; a failure prints seed and path, with which fast-check repeats it. */
export function testAgainstModel(name: string, make: MakeSubject): void {
  Deno.test(`${name}: random operations do what a model of the store does`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 30 }), async (operations) => {
        await using subject = await make();
        await run(operations, subject.store, subject.reopen);
      }),
      { numRuns: 60 },
    );
  });
}

/** A commit as drawn: its guards hold or are off by something, whatever the state will be by then. */
interface Attempt {
  readonly writes: readonly Write[];
  readonly guards: readonly { readonly key: string; readonly off: bigint }[];
}

type Operation =
  | { readonly kind: "commits"; readonly attempts: readonly Attempt[] }
  | { readonly kind: "read"; readonly prefix: string }
  | { readonly kind: "reopen" };

const key = fc.constantFrom("a", "a/", "a/b", "a/é", "a/😀", "a/\uffff", "ab", "b", "b/a");
const write = fc.oneof(
  { arbitrary: fc.record({ key, text: fc.string() }).map(({ key, text }) => put(key, text)), weight: 3 },
  { arbitrary: fc.record({ key }), weight: 1 },
);
const attempt: fc.Arbitrary<Attempt> = fc.record({
  writes: fc.uniqueArray(write, { selector: ({ key }) => key, minLength: 1, maxLength: 4 }),
  guards: fc.array(
    fc.record({
      key,
      off: fc.oneof({ arbitrary: fc.constant(0n), weight: 6 }, { arbitrary: fc.bigInt(-2n, 2n), weight: 1 }),
    }),
    { maxLength: 2 },
  ),
});
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { arbitrary: fc.record({ kind: fc.constant("commits"), attempts: fc.array(attempt, { minLength: 1 }) }), weight: 5 },
  { arbitrary: fc.record({ kind: fc.constant("read"), prefix: fc.constantFrom("", "a", "a/", "b", "c") }), weight: 3 },
  { arbitrary: fc.record({ kind: fc.constant("reopen") }), weight: 1 },
);

async function run(operations: readonly Operation[], store: Store, reopen?: () => Promise<Store>): Promise<void> {
  const model = new Model();
  for (const operation of operations) {
    switch (operation.kind) {
      case "commits":
        await commitTogether(store, model, operation.attempts);
        break;
      case "read":
        assert.deepEqual(await store.read(operation.prefix), model.read(operation.prefix));
        break;
      case "reopen":
        await checkWatches(store, model);
        if (reopen) store = await reopen();
        if (reopen) model.forgetLog();
        break;
    }
  }
  assert.deepEqual(await store.read(""), model.read(""));
  await checkWatches(store, model);
}

/** Commits that arrive together are judged in the order of their arrival, each after the ones before it. */
async function commitTogether(store: Store, model: Model, attempts: readonly Attempt[]): Promise<void> {
  // Guards stand before any of these commits is made, so a later one may rely on what an earlier one overwrites.
  const commits = attempts.map(({ writes, guards }) => ({
    writes,
    guards: guards.map(({ key, off }) => ({ key, revision: model.revisionOf(key) + off as Revision })),
  }));
  const answers = await Promise.all(commits.map(({ writes, guards }) => store.commit(writes, guards)));
  commits.forEach(({ writes, guards }, at) => model.commit(writes, guards, answers[at]!));
}

/** Everything the model has logged is to be had, from its beginning and from every point of it. */
async function checkWatches(store: Store, model: Model): Promise<void> {
  for (const prefix of ["", "a/"]) {
    for (const after of [model.logStart, model.log.at(model.log.length >> 1)?.revision ?? model.logStart]) {
      const expected = model.since(prefix, after);
      if (expected.length > 0) assert.deepEqual(await take(store, prefix, after, expected.length), expected);
    }
  }
}

class Model {
  readonly #entries = new Map<string, Entry>();
  #revision = NO_REVISION;
  log: Batch[] = [];
  logStart = NO_REVISION;

  read(prefix: string) {
    const entries = [...this.#entries.values()].filter(({ key }) => key.startsWith(prefix));
    return { revision: this.#revision, entries: entries.sort((a, b) => Buffer.compare(bytes(a.key), bytes(b.key))) };
  }

  revisionOf(key: string): Revision {
    return this.#entries.get(key)?.revision ?? NO_REVISION;
  }

  commit(writes: readonly Write[], guards: readonly Guard[], answer: Commit): void {
    if (!guards.every(({ key, revision }) => this.revisionOf(key) === revision)) {
      assert.deepEqual(answer, { kind: "conflict" });
      return;
    }
    const revision = revisionOf(answer);
    assert.ok(revision > this.#revision);
    this.#revision = revision;
    this.log.push({ revision, writes });
    for (const { key, value } of writes) {
      if (value) this.#entries.set(key, { key, value, revision });
      else this.#entries.delete(key);
    }
  }

  since(prefix: string, after: Revision): readonly Batch[] {
    return this.log
      .filter(({ revision }) => revision > after)
      .map(({ revision, writes }) => ({ revision, writes: writes.filter(({ key }) => key.startsWith(prefix)) }))
      .filter(({ writes }) => writes.length > 0);
  }

  /** What a store keeps for watches need not survive it. */
  forgetLog(): void {
    this.log = [];
    this.logStart = this.#revision;
  }
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
