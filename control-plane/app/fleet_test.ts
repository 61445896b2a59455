import assert from "node:assert/strict";
import type { Position } from "../domain/cluster_map.ts";
import type { Epoch, Realm, Revision, ServiceName } from "../domain/names.ts";
import type { Scope } from "../domain/update.ts";
import { openMemoryStore } from "../store/memory.ts";
import type { Store } from "../store/store.ts";
import { type Log, SILENT } from "../../proto/log.ts";
import { Fleet } from "./fleet.ts";
import type { Follower } from "./followers.ts";
import {
  caller,
  done,
  LOCAL,
  never,
  overlaid,
  refusal,
  register,
  type TestOptions,
  type TestPlane,
  testPlane,
} from "./testing.ts";

const local: Scope = { realm: LOCAL };
const narrow: Scope = { realm: LOCAL, services: new Set(["b", "a"] as ServiceName[]) };
const follower = (id: string, kind: Follower["kind"] = "sidecar"): Follower => ({
  id,
  kind,
  program: "test/1",
  zone: "",
});
const now = AbortSignal.abort();

async function withFleet(
  test: (fleet: Fleet, plane: TestPlane) => Promise<void>,
  options: TestOptions & { log?: Log } = {},
) {
  await using plane = await testPlane(options);
  await using fleet = await Fleet.open({ ...plane, log: options.log ?? SILENT });
  await test(fleet, plane);
}

/** Resolves once the roster in the store names these. */
async function rostered(store: Store, ...ids: string[]) {
  const arrived = async () => {
    const { entries, revision } = await store.read("roster/");
    return { revision, same: JSON.stringify(entries.map(({ key }) => key.split("/")[2])) === JSON.stringify(ids) };
  };
  const { revision, same } = await arrived();
  if (same) return;
  for await (const _ of store.watch("roster/", revision, never)) if ((await arrived()).same) return;
}

/** Lets everything go on that waits for nothing but its turn. */
async function settled() {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}

const names = (states: readonly { follower: Follower }[]) => states.map(({ follower }) => follower.id);

Deno.test("Fleet lists who is connected and who should be, and waits for both by name", () =>
  withFleet(async (fleet, plane) => {
    const { store } = plane;
    const connections = ["b", "a"].map((id) => fleet.connect(follower(id), local));
    using sdk = fleet.connect(follower("sdk", "sdk"), local);
    using _tool = fleet.connect(follower("tool", "tool"), local);
    using _elsewhere = fleet.connect(follower("elsewhere"), { realm: "testing" as Realm });
    assert.deepEqual(names(fleet.list(LOCAL)), ["a", "b", "sdk", "tool"]);
    await rostered(store, "a", "b", "elsewhere");
    const { revision } = await plane.change(register("a"));
    const position = () => plane.hub.current().position;
    const laggards = async () => names((await fleet.wait(LOCAL, revision, now)).laggards);
    assert.deepEqual(await laggards(), ["a", "b", "sdk"], "a tool routes nothing");
    connections[0]!.applied(position(), []);
    sdk.applied({ ...position(), revision: (revision - 1n) as Revision }, []);
    assert.deepEqual(await laggards(), ["a", "sdk"]);
    sdk.applied({ ...position(), epoch: (position().epoch - 1n) as Epoch }, []);
    assert.deepEqual(await laggards(), ["a", "sdk"], "of another epoch");
    sdk.applied(position(), []);
    connections[1]!.applied(position(), [{ service: "a", reason: "no" }]);
    assert.deepEqual(await laggards(), ["a"], "what it cannot use has not arrived");
    connections[1]!.applied(position(), []);
    assert.deepEqual(await fleet.wait(LOCAL, revision, never), { done: true, revision, laggards: [] });

    // A sidecar that is cut off routes on; an SDK that is gone does not.
    connections[0]![Symbol.dispose]();
    sdk[Symbol.dispose]();
    const [missing, ...others] = (await fleet.wait(LOCAL, revision, now)).laggards;
    assert.deepEqual(missing, { follower: follower("b"), scope: local, refused: [], connected: false });
    assert.deepEqual(others, []);
  }));

Deno.test("Fleet.wait() wakes up for each word that counts", () =>
  withFleet(async (fleet, plane) => {
    const revision = (plane.hub.current().position.revision + 2n) as Revision;
    using sdk = fleet.connect(follower("sdk", "sdk"), local);
    const cut = fleet.connect(follower("sidecar"), narrow);
    await rostered(plane.store, "sidecar");
    const position = (): Position => plane.hub.current().position;
    const waiting = fleet.wait(LOCAL, revision, never);
    await plane.change(register("a", "one"));
    await plane.change(register("a", "two"));
    assert.ok(position().revision >= revision);
    sdk.applied(position(), []);
    cut[Symbol.dispose]();
    // One word is still missing: that nobody waits for who is cut off.
    assert.equal((await fleet.wait(LOCAL, revision, now)).laggards.length, 1);
    done(await fleet.forget(caller, LOCAL, "sidecar"));
    assert.deepEqual(await waiting, { done: true, revision, laggards: [] });
  }));

Deno.test("Fleet counts once for all who wait in a realm, however many speak, and not for another realm", () =>
  withFleet(async (fleet, plane) => {
    const position = plane.hub.current().position;
    const sdks = Array.from({ length: 20 }, (_, i) => fleet.connect(follower(`sdk-${i}`, "sdk"), local));
    using elsewhere = fleet.connect(follower("elsewhere", "sdk"), { realm: "testing" as Realm });
    const waiting = Array.from({ length: 5 }, () => fleet.wait(LOCAL, position.revision, never));
    await settled();
    let counts = 0;
    const { hub } = plane;
    const current = hub.current.bind(hub);
    hub.current = () => (counts++, current());
    for (let i = 0; i < 5; i++) elsewhere.applied(position, []);
    await new Promise((resolve) => setTimeout(resolve, 0));
    assert.equal(counts, 0, "of another realm");
    for (const sdk of sdks) {
      sdk.applied(position, []);
      await settled();
    }
    for (const { done } of await Promise.all(waiting)) assert.ok(done);
    assert.equal(counts, 1);
    for (const sdk of sdks) sdk[Symbol.dispose]();
  }));

Deno.test("Fleet.wait() asks the watchers of a realm at once, and for all who come soon after once more", () =>
  withFleet(async (fleet, plane) => {
    const { position: { revision } } = plane.hub.current();
    const asked: Realm[] = [];
    const again = Promise.withResolvers<void>();
    plane.hub.bookmark = (realm) => {
      if (asked.push(realm) === 3) again.resolve();
    };
    const everybodyIs = fleet.wait(LOCAL, revision, never);
    assert.ok((await everybodyIs).done);
    assert.deepEqual(asked, [], "nobody is to be asked");
    using _sdk = fleet.connect(follower("sdk", "sdk"), local);
    using _elsewhere = fleet.connect(follower("sdk", "sdk"), { realm: "testing" as Realm });
    const enough = new AbortController();
    const realms = [LOCAL, LOCAL, LOCAL, "testing" as Realm, LOCAL];
    const waiting = realms.map((realm) => fleet.wait(realm, revision, enough.signal));
    await settled();
    assert.deepEqual(asked, [LOCAL, "testing"]);
    await again.promise;
    assert.deepEqual(asked, [LOCAL, "testing", LOCAL]);
    enough.abort();
    for (const { done } of await Promise.all(waiting)) assert.ok(!done);
  }));

Deno.test("Fleet.wait() ends with its signal, though the revision never comes", () =>
  withFleet(async (fleet, plane) => {
    const revision = (plane.hub.current().position.revision + 9n) as Revision;
    using _sdk = fleet.connect(follower("sdk", "sdk"), local);
    const controller = new AbortController();
    const waiting = fleet.wait(LOCAL, revision, controller.signal);
    controller.abort();
    const { done, laggards } = await waiting;
    assert.deepEqual([done, names(laggards)], [false, ["sdk"]]);
  }));

Deno.test("the roster outlives the control plane, and keeps since when a sidecar is expected", async () => {
  const store = openMemoryStore();
  const entries = async () => (await store.read("roster/")).entries;
  await withFleet(async (fleet) => {
    fleet.connect(follower("a"), narrow);
    await rostered(store, "a");
  }, { store });
  const before = await entries();
  await withFleet(async (fleet, plane) => {
    assert.deepEqual(fleet.list(LOCAL), [{ follower: follower("a"), scope: narrow, refused: [], connected: false }]);
    plane.clock.pass(1_000);
    using _connection = fleet.connect(follower("a"), narrow);
    assert.deepEqual(fleet.list(LOCAL).map(({ connected }) => connected), [true]);
    fleet.connect(follower("b"), local);
    await rostered(store, "a", "b");
    assert.deepEqual((await entries())[0], before[0], "what is known is not written again");
    const { revision } = await store.read("");
    using _wider = fleet.connect({ ...follower("a"), program: "test/2" }, local);
    for await (const _ of store.watch("roster/", revision, never)) break;
    const [text] = (await entries()).map(({ value }) => JSON.parse(new TextDecoder().decode(value)));
    const { since } = JSON.parse(new TextDecoder().decode(before[0]!.value));
    assert.deepEqual(text, { follower: { ...follower("a"), program: "test/2" }, realm: "local", since });
  }, { store });
});

Deno.test("a sidecar that says goodbye is not waited for, and one that was forgotten may come back", () =>
  withFleet(async (fleet, plane) => {
    const { store } = plane;
    using gone = fleet.connect(follower("a"), local);
    // At once: its name is not in the store yet.
    await fleet.goodbye(gone);
    gone[Symbol.dispose]();
    assert.deepEqual(fleet.list(LOCAL), []);
    await rostered(store);

    const cut = fleet.connect(follower("b"), local);
    await rostered(store, "b");
    assert.equal(refusal(await fleet.forget(caller, LOCAL, "b")).code, "in_use");
    cut[Symbol.dispose]();
    assert.equal(refusal(await fleet.forget(caller, LOCAL, "nobody")).code, "not_found");
    assert.equal(refusal(await fleet.forget(caller, "testing" as Realm, "b")).code, "not_found");
    const { revision } = done(await fleet.forget(caller, LOCAL, "b"));
    assert.equal((await store.read("")).revision, revision);
    assert.deepEqual(fleet.list(LOCAL), []);
    using _again = fleet.connect(follower("b"), local);
    await rostered(store, "b");
  }));

Deno.test("the goodbye of a sidecar whose successor is there already is the end of the old one only", () =>
  withFleet(async (fleet, plane) => {
    using old = fleet.connect(follower("a"), local);
    await rostered(plane.store, "a");
    const successor = fleet.connect(follower("a"), local);
    await fleet.goodbye(old);
    old[Symbol.dispose]();
    successor[Symbol.dispose]();
    assert.deepEqual(fleet.list(LOCAL).map(({ connected }) => connected), [false], "it is missed");
  }));

Deno.test("two sidecars under one id: the goodbye of one is not the other's, and both must have applied", async () => {
  const warned: object[] = [];
  const log: Log = { ...SILENT, warn: (message, fields) => warned.push({ message, ...fields }) };
  await withFleet(async (fleet, plane) => {
    const { position, position: { revision } } = plane.hub.current();
    const laggards = async () => names((await fleet.wait(LOCAL, revision, now)).laggards);
    const line = (peer: string) => ({ peer, ask: () => {} });
    const older = fleet.connect(follower("a"), local, line("10.0.0.1:1"));
    const newer = fleet.connect(follower("a"), local, line("10.0.0.2:1"));
    await rostered(plane.store, "a");
    newer.applied(position, []);
    assert.deepEqual(await laggards(), [], "it has come back, and its old stream is not noticed yet");
    older.received(position);
    assert.deepEqual(await laggards(), ["a"], "it is there");
    plane.clock.pass(20_000);
    older.received(position);
    older.received(position);
    const message = "Two sidecars follow under one host id: each host needs its own";
    assert.deepEqual(warned, [{ message, realm: "local", follower: "a", peers: ["10.0.0.1:1", "10.0.0.2:1"] }]);
    older.applied(position, []);
    assert.deepEqual(await laggards(), []);
    await fleet.goodbye(newer);
    newer[Symbol.dispose]();
    assert.deepEqual(fleet.list(LOCAL).map(({ connected }) => connected), [true]);
    older[Symbol.dispose]();
    assert.deepEqual(await laggards(), ["a"], "it is missed");
    using again = fleet.connect(follower("a"), local);
    await fleet.goodbye(again);
    assert.deepEqual(names(fleet.list(LOCAL)), ["a"], "until its connection is gone");
  }, { log });
});

Deno.test("the goodbye of a sidecar whose old stream still stands counts once that has ended without a word", () =>
  withFleet(async (fleet, plane) => {
    for (const alive of [false, true]) {
      const old = fleet.connect(follower("a"), local);
      await rostered(plane.store, "a");
      const back = fleet.connect(follower("a"), local);
      await fleet.goodbye(back);
      back[Symbol.dispose]();
      assert.deepEqual(fleet.list(LOCAL).map(({ connected }) => connected), [true]);
      if (alive) old.received(plane.hub.current().position);
      old[Symbol.dispose]();
      if (alive) await settled();
      else await rostered(plane.store);
      assert.deepEqual(fleet.list(LOCAL).map(({ connected }) => connected), alive ? [false] : []);
    }
  }));

Deno.test("a program or a tool of a sidecar's id is somebody else: it neither hides it nor says goodbye for it", () =>
  withFleet(async (fleet, plane) => {
    const cut = fleet.connect(follower("a"), local);
    await rostered(plane.store, "a");
    const kinds = () => Object.fromEntries(fleet.list(LOCAL).map((state) => [state.follower.kind, state.connected]));
    for (const kind of ["sdk", "tool"] as const) {
      using other = fleet.connect(follower("a", kind), local);
      assert.deepEqual(kinds(), { sidecar: true, [kind]: true });
      assert.equal(refusal(await fleet.forget(caller, LOCAL, "a")).code, "in_use");
      await fleet.goodbye(other);
    }
    cut[Symbol.dispose]();
    for (const kind of ["sdk", "tool"] as const) {
      using other = fleet.connect(follower("a", kind), local);
      await fleet.goodbye(other);
      assert.deepEqual(kinds(), { sidecar: false, [kind]: true });
    }
    const { revision } = plane.hub.current().position;
    assert.deepEqual(names((await fleet.wait(LOCAL, revision, now)).laggards), ["a"], "it is missed");
    using _other = fleet.connect(follower("a", "sdk"), local);
    done(await fleet.forget(caller, LOCAL, "a"));
    assert.deepEqual(kinds(), { sdk: true });
  }));

Deno.test("Fleet says so where the roster cannot be written", async () => {
  const memory = openMemoryStore();
  let full = false;
  const store = overlaid(memory, {
    commit: async (...how) => full ? { kind: "refused", reason: "the disk is full" } : await memory.commit(...how),
  });
  const warned = Promise.withResolvers<string>();
  const log: Log = { ...SILENT, warn: (message) => warned.resolve(message) };
  await withFleet(async (fleet, plane) => {
    const cut = fleet.connect(follower("a"), local);
    await rostered(store, "a");
    cut[Symbol.dispose]();
    full = true;
    using _b = fleet.connect(follower("b"), local);
    assert.match(await warned.promise, /^Cannot put a follower on the roster/);
    const { code, message } = refusal(await fleet.forget(caller, LOCAL, "a"));
    assert.deepEqual([code, message], ["unavailable", 'Cannot forget follower "a": the disk is full']);
    assert.deepEqual(names(fleet.list(LOCAL)), ["a", "b"]);
    full = false;
    await plane.change(register("a"));
  }, { store, log });
});
