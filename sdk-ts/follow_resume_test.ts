import assert from "node:assert/strict";
import { status } from "@grpc/grpc-js";
import fc from "fast-check";
import { Follower_Kind, type WatchRequest } from "../proto/gen/portolan/v1/discovery_pb.ts";
import { follow, type Snapshot } from "./follow.ts";
import { REAL } from "./ports.ts";
import { serveFake, type Session } from "./testing/control_plane.ts";

/** One commit: the services that it sets (true) or deletes. */
type Commit = readonly (readonly [name: string, set: boolean])[];

/** How a run goes: what is committed, how it is cut into updates and parts, and where streams break. */
interface Course {
  readonly commits: readonly Commit[];
  /** Commits that come while one update is under way. */
  readonly burst: number;
  readonly partSize: number;
  /** Parts after which each stream breaks; the ones after the last stay whole. */
  readonly cuts: readonly number[];
  /** Below this revision only a complete update answers. */
  readonly floor: number;
  /** The stream before which the store was restored: from there on a higher epoch, with the same commits. */
  readonly restored: number;
  /** Snapshots that each process sees before the next one goes on from the last of them; the one after them stays. */
  readonly processes: readonly number[];
}

const commit = fc.array(fc.tuple(fc.constantFrom("a", "b", "c", "d", "e"), fc.boolean()), {
  minLength: 1,
  maxLength: 5,
});
const course: fc.Arbitrary<Course> = fc.record({
  commits: fc.array(commit, { minLength: 1, maxLength: 30 }),
  burst: fc.integer({ min: 1, max: 4 }),
  partSize: fc.integer({ min: 1, max: 3 }),
  cuts: fc.array(fc.integer({ min: 0, max: 6 }), { maxLength: 8 }),
  floor: fc.integer({ min: 0, max: 10 }),
  restored: fc.integer({ min: 0, max: 8 }),
  processes: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }),
});

Deno.test("follow() resumes without a gap wherever its stream breaks or its process ends", async () => {
  await fc.assert(fc.asyncProperty(course, run), { numRuns: 60 });
});

async function run(course: Course): Promise<void> {
  const store = new Store(course.commits);
  let streams = 0;
  await using server = await serveFake({ watch: (session) => serve(session, store, course, streams++) });
  let last: Snapshot | undefined;
  for (const snapshots of [...course.processes, Infinity]) {
    last = await runOnce(store, course, server.address, snapshots, last);
  }
}

/** One process: from what the one before it held on, to the end or for as many snapshots. */
async function runOnce(store: Store, course: Course, address: string, snapshots: number, saved?: Snapshot) {
  await using follower = follow({
    controlPlanes: [address],
    scope: { realm: "local", services: [] },
    follower: { id: "here", kind: Follower_Kind.TOOL, program: "test/1", zone: "" },
    ...(saved && { saved }),
  }, { ...REAL, random: () => 0, sleep: () => Promise.resolve() });

  // A process that begins knows nothing, however much was saved.
  let before = new Map<string, bigint>();
  for await (const snapshot of follower) {
    const { position, services, changed } = snapshot;
    const held = new Map([...services].map(([name, { modified }]) => [name, modified]));
    assert.deepEqual(held, store.at(Number(position.revision)));
    for (const name of new Set([...before.keys(), ...held.keys()])) {
      if (before.get(name) !== held.get(name)) assert.ok(changed.has(name), `${name} changed and is not named`);
    }
    if (saved) assert.ok(position.epoch >= saved.position.epoch, "it went back to an epoch before");
    before = held;
    const settled = course.restored <= course.cuts.length ? 2n : 1n;
    const done = position.epoch >= settled && Number(position.revision) === course.commits.length;
    if (done || --snapshots <= 0) return snapshot;
  }
  throw new Error("The follower ended by itself");
}

/** The log that the follower's map must add up to: by revision, the revision that last set each service. */
class Store {
  readonly #states: ReadonlyMap<string, bigint>[] = [new Map()];

  constructor(commits: readonly Commit[]) {
    for (const [index, commit] of commits.entries()) {
      const state = new Map(this.#states[index]);
      for (const [name, set] of commit) set ? state.set(name, BigInt(index + 1)) : state.delete(name);
      this.#states.push(state);
    }
  }

  at(revision: number): ReadonlyMap<string, bigint> {
    return this.#states[revision] ?? new Map();
  }

  /** Names that any revision in (after, revision] touched, as far as the states tell. */
  touched(after: number, revision: number): readonly string[] {
    const names = new Set<string>();
    for (let at = after + 1; at <= revision; at++) {
      for (const name of new Set([...this.at(at).keys(), ...this.at(at - 1).keys()])) {
        if (this.at(at).get(name) !== this.at(at - 1).get(name)) names.add(name);
      }
    }
    return [...names];
  }
}

/** One stream of a control plane that breaks after as many parts as the course says. */
async function serve(session: Session, store: Store, course: Course, stream: number): Promise<void> {
  const epoch = stream >= course.restored ? 2n : 1n;
  let parts = course.cuts[stream] ?? Infinity;
  const { value } = (await session.heard.next()).value as WatchRequest["message"];
  const { after, subscription } = value as Extract<WatchRequest["message"], { case: "subscribe" }>["value"];
  const start = after?.epoch === epoch ? Number(after.revision) : 0;
  let held = after?.epoch === epoch && start >= course.floor ? start : undefined;
  while (held !== course.commits.length) {
    const revision = Math.min(course.commits.length, (held ?? start) + course.burst);
    for (const part of update(store, epoch, held, revision, course.partSize)) {
      if (parts-- <= 0) return session.close(status.UNAVAILABLE);
      session.send(subscription, part);
    }
    const { value: received } = await session.heard.next();
    if (!received) return;
    held = revision;
  }
  if (parts !== Infinity) session.close(status.UNAVAILABLE);
}

function update(store: Store, epoch: bigint, after: number | undefined, revision: number, partSize: number) {
  const now = store.at(revision);
  const names = after === undefined ? [...now.keys()] : store.touched(after, revision);
  const position = { epoch, revision: BigInt(revision) };
  const parts = [];
  for (let from = 0; from < Math.max(1, names.length); from += partSize) {
    const some = names.slice(from, from + partSize);
    parts.push({
      position,
      complete: after === undefined,
      last: from + partSize >= names.length,
      set: some.flatMap((name) => now.has(name) ? [{ name, modified: now.get(name) ?? 0n }] : []),
      deleted: some.filter((name) => !now.has(name)),
    });
  }
  return parts;
}
