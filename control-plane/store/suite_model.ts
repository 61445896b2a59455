/** Random operations on a store, held against a model of it. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { NO_REVISION, type Revision } from "../domain/names.ts";
import { type Batch, type Commit, type Entry, type Guard, Lost, type Snapshot } from "./store.ts";
import type { Store, Sweep, Write } from "./store.ts";
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
  readonly writes: readonly (Write | Sweep)[];
  readonly guards: readonly { readonly key: string; readonly off: bigint }[];
}

/** What is read; `back`: how many revisions before the newest, perhaps more than there are. */
type Look =
  | { readonly kind: "read"; readonly prefix: string; readonly back?: bigint }
  | { readonly kind: "history" | "watch"; readonly prefix: string; readonly back: bigint };

type Operation =
  | Look
  | { readonly kind: "commits"; readonly attempts: readonly Attempt[] }
  | { readonly kind: "forget"; readonly back: bigint }
  | { readonly kind: "reopen" };

const key = fc.constantFrom("a", "a/", "a/b", "a/é", "a/😀", "a/\uffff", "ab", "b", "b/a");
const prefix = fc.constantFrom("", "a", "a/", "b", "c");
const back = fc.bigInt(-1n, 40n);
const write: fc.Arbitrary<Write | Sweep> = fc.oneof(
  { arbitrary: fc.record({ key, text: fc.string() }).map(({ key, text }) => put(key, text)), weight: 6 },
  { arbitrary: key.map((key) => ({ key })), weight: 2 },
  { arbitrary: prefix.map((prefix) => ({ prefix })), weight: 1 },
);
const attempt: fc.Arbitrary<Attempt> = fc.record({
  writes: fc.array(write, { minLength: 1, maxLength: 4 }).map(withoutOverlap),
  guards: fc.array(
    fc.record({
      key,
      off: fc.oneof({ arbitrary: fc.constant(0n), weight: 6 }, { arbitrary: fc.bigInt(-2n, 2n), weight: 1 }),
    }),
    { maxLength: 2 },
  ),
});
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { arbitrary: fc.record({ kind: fc.constant("commits"), attempts: fc.array(attempt, { minLength: 1 }) }), weight: 6 },
  { arbitrary: fc.record({ kind: fc.constant("read"), prefix }), weight: 2 },
  { arbitrary: fc.record({ kind: fc.constant("read"), prefix, back }), weight: 2 },
  { arbitrary: fc.record({ kind: fc.constantFrom("history", "watch"), prefix, back }), weight: 3 },
  { arbitrary: fc.record({ kind: fc.constant("forget"), back }), weight: 1 },
  { arbitrary: fc.record({ kind: fc.constant("reopen") }), weight: 1 },
);

function withoutOverlap(writes: readonly (Write | Sweep)[]): readonly (Write | Sweep)[] {
  const overlap = (a: Write | Sweep, b: Write | Sweep) => covers(a, nameOf(b)) || covers(b, nameOf(a));
  return writes.filter((write, at) => !writes.slice(0, at).some((other) => overlap(write, other)));
}

function covers(write: Write | Sweep, name: string): boolean {
  return "prefix" in write ? name.startsWith(write.prefix) : name === write.key;
}

function nameOf(write: Write | Sweep): string {
  return "prefix" in write ? write.prefix : write.key;
}

async function run(operations: readonly Operation[], store: Store, reopen?: () => Promise<Store>): Promise<void> {
  const model = new Model();
  for (const operation of operations) {
    switch (operation.kind) {
      case "commits":
        await commitTogether(store, model, operation.attempts);
        break;
      case "forget":
        await store.forget(model.ago(operation.back));
        model.forget(model.ago(operation.back));
        break;
      case "reopen":
        if (reopen) store = await reopen();
        break;
      default:
        await look(store, model, operation);
    }
    assert.equal(store.remembered(), model.remembered);
  }
  await look(store, model, { kind: "read", prefix: "" });
  await look(store, model, { kind: "watch", prefix: "", back: model.newest - model.remembered });
}

/** Commits that arrive together are judged in the order of their arrival, each after the ones before it. */
async function commitTogether(store: Store, model: Model, attempts: readonly Attempt[]): Promise<void> {
  // Guards stand before any of these commits is made, so a later one may rely on what an earlier one overwrites.
  const commits = attempts.map(({ writes, guards }) => ({
    writes,
    guards: guards.map(({ key, off }) => ({ key, revision: model.revisionOf(key) + off as Revision })),
  }));
  // What is past is not changed by what comes meanwhile.
  const looks = (["read", "history"] as const).map((kind) => look(store, model, { kind, prefix: "a", back: 5n }));
  const answers = await Promise.all(commits.map(({ writes, guards }) => store.commit(writes, guards)));
  await Promise.all(looks);
  commits.forEach(({ writes, guards }, at) => model.commit(writes, guards, answers[at]!));
}

/** Reads what was and what is; below what is remembered the store has to say so. */
async function look(store: Store, model: Model, { kind, prefix, back }: Look): Promise<void> {
  const at = back === undefined ? undefined : model.ago(back);
  const from = at ?? model.newest;
  const batches = model.since(prefix, from);
  const expected = kind === "read" ? model.read(prefix, from) : batches;
  // A watch waits for what is yet to come, and what is forgotten may still be at hand.
  if (kind === "watch" && (batches.length === 0 || from < model.remembered)) return;
  const found = () => {
    if (kind === "read") return at === undefined ? store.read(prefix) : store.read(prefix, at);
    if (kind === "history") return Array.fromAsync(store.history(prefix, from));
    return take(store, prefix, from, batches.length);
  };
  if (from < model.remembered) await assert.rejects(found(), Lost);
  else assert.deepEqual(await found(), expected);
}

class Model {
  /** What was there as of every revision that is remembered, and the commit that made it so. */
  #past: { readonly snapshot: Snapshot; readonly batch: Batch }[] = [
    { snapshot: { revision: NO_REVISION, entries: [] }, batch: { revision: NO_REVISION, writes: [] } },
  ];

  get newest(): Revision {
    return this.#now.revision;
  }

  get remembered(): Revision {
    return this.#past[0]!.snapshot.revision;
  }

  ago(back: bigint): Revision {
    return (this.newest > back ? this.newest - back : 0n) as Revision;
  }

  read(prefix: string, at: Revision): Snapshot | undefined {
    const { revision, entries } =
      (this.#past.findLast(({ snapshot }) => snapshot.revision <= at) ?? this.#past[0]!).snapshot;
    return { revision, entries: entries.filter(({ key }) => key.startsWith(prefix)) };
  }

  revisionOf(key: string): Revision {
    return this.#now.entries.find((entry) => entry.key === key)?.revision ?? NO_REVISION;
  }

  commit(writes: readonly (Write | Sweep)[], guards: readonly Guard[], answer: Commit): void {
    if (!guards.every(({ key, revision }) => this.revisionOf(key) === revision)) {
      assert.deepEqual(answer, { kind: "conflict" });
      return;
    }
    const entries = new Map(this.#now.entries.map((entry) => [entry.key, entry]));
    const all = writes.flatMap((write) => "prefix" in write ? deletions(entries, write) : [write]);
    const revision = revisionOf(answer);
    if (all.length === 0) return assert.equal(revision, this.newest);
    assert.ok(revision > this.newest);
    for (const { key, value } of all) {
      if (value) entries.set(key, { key, value, revision });
      else entries.delete(key);
    }
    this.#past.push({
      snapshot: { revision, entries: inOrder([...entries.values()]) },
      batch: { revision, writes: all },
    });
  }

  since(prefix: string, after: Revision): readonly Batch[] {
    return this.#past
      .map(({ batch: { revision, writes } }) => ({
        revision,
        writes: writes.filter(({ key }) => key.startsWith(prefix)),
      }))
      .filter(({ revision, writes }) => revision > after && writes.length > 0);
  }

  forget(upTo: Revision): void {
    this.#past = this.#past.filter(({ snapshot }) => snapshot.revision >= upTo || snapshot.revision === this.newest);
  }

  get #now(): Snapshot {
    return this.#past.at(-1)!.snapshot;
  }
}

function deletions(entries: ReadonlyMap<string, Entry>, { prefix }: Sweep): readonly Write[] {
  return inOrder([...entries.values()].filter(({ key }) => key.startsWith(prefix))).map(({ key }) => ({ key }));
}

function inOrder(entries: Entry[]): readonly Entry[] {
  return entries.sort((a, b) => Buffer.compare(bytes(a.key), bytes(b.key)));
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
