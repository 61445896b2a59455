import assert from "node:assert/strict";
import { SILENT } from "../../proto/log.ts";
import { TestClock } from "../../sdk-ts/testing/clock.ts";
import { Ejecting, type EjectingOptions } from "./ejecting.ts";
import type { Ended } from "./ended.ts";

const GATHER_MS = 50;
const OUT_MS = 30_000;

/** A service of some instances in slot b001, judged by a clock that the test sets. */
function judging(instances: readonly string[], more: Partial<EjectingOptions> = {}) {
  const clock = new TestClock();
  const changes: string[] = [];
  const failures = { worker: 1, counts: new Map<string, number>() };
  const asked: string[] = [];
  const there = new Set(instances);
  const ejecting = new Ejecting({
    serviceOf: (slot) => slot === "b001" ? "identity" : undefined,
    instancesOf: () => there,
    connectFailures: (slot) => {
      asked.push(slot);
      return Promise.resolve({ worker: failures.worker, counts: new Map(failures.counts) });
    },
    onChange: (service) => void changes.push(service),
    log: SILENT,
    ...more,
  }, clock);
  const out = () => ejecting.ejected.map(({ instance }) => instance);
  /** HAProxy could not connect so often to an instance, and says so in a line; resolves when that has been looked at. */
  const unreachable = async (instance: string, times: number, told = times, backend = "b001") => {
    failures.counts.set(instance, (failures.counts.get(instance) ?? 0) + times);
    ejecting.heard(ended({ backend, server: "i2", retries: told }));
    (await clock.nap(GATHER_MS)).end();
    await new Promise((done) => setTimeout(done, 0));
  };
  return { ejecting, clock, changes, failures, asked, there, out, unreachable };
}

function ended({ status = 200, ...said }: Partial<Ended> & { status?: number } = {}): Ended {
  return {
    ...{ frontend: "egress", backend: "b001", server: "i1", termination: "--", retries: 0, endMs: 0 },
    ...{ queueMs: 0, connectMs: 0, totalMs: 0, bytesIn: 0, bytesOut: 0 },
    request: {
      ...{ status, responseMs: 1, method: "GET", path: "/", route: "identity", flow: undefined, call: undefined },
      ...{ attempt: undefined, later: false },
    },
    ...said,
  };
}

const SILENCE = { termination: "sH", status: 504, totalMs: 3_000 };

Deno.test("an instance that fails five times in a row is left out for 30 s, and comes back by itself", async () => {
  const { ejecting, clock, changes, out } = judging(["i1", "i2", "i3"]);
  for (let at = 0; at < 4; at++) ejecting.heard(ended(SILENCE));
  ejecting.heard(ended());
  for (let at = 0; at < 4; at++) ejecting.heard(ended(SILENCE));
  assert.deepEqual([out(), changes], [[], []], "an answer in between begins the count anew");
  ejecting.heard(ended(SILENCE));
  assert.deepEqual(ejecting.ejected, [{ service: "identity", instance: "i1", forMs: OUT_MS }]);
  assert.deepEqual(changes, ["identity"]);
  assert.deepEqual(["i1", "i2"].map((id) => ejecting.isEjected("identity", id)), [true, false]);
  assert.equal(ejecting.isEjected("teams", "i1"), false);
  // What was under way then says nothing new.
  for (let at = 0; at < 9; at++) ejecting.heard(ended(SILENCE));
  clock.pass(10_000);
  assert.equal(ejecting.ejected[0]?.forMs, 20_000);
  (await clock.nap(OUT_MS + 1)).end();
  await Promise.resolve();
  assert.deepEqual([out(), changes], [[], ["identity", "identity"]]);
});

Deno.test("a service's only instance is never left out, and of several about a third at most", () => {
  const alone = judging(["i1"]);
  for (let at = 0; at < 20; at++) alone.ejecting.heard(ended(SILENCE));
  assert.deepEqual(alone.out(), []);
  const few = judging(["i1", "i2", "i3", "i4", "i5", "i6"]);
  for (let at = 0; at < 5; at++) {
    for (const server of ["i1", "i2", "i3"]) few.ejecting.heard(ended({ ...SILENCE, server }));
  }
  assert.deepEqual(few.out(), ["i1", "i2"]);
});

Deno.test("only who calls may go to is judged, and counted", async () => {
  const { ejecting, there, out, unreachable } = judging(["i1", "i2"]);
  for (let at = 0; at < 9; at++) {
    ejecting.heard(ended({ ...SILENCE, server: "draining" }));
    ejecting.heard(ended({ ...SILENCE, backend: "b009" }));
    ejecting.heard(ended({ ...SILENCE, backend: "no_service", server: undefined }));
    ejecting.heard(ended({ termination: "CH", status: -1 }));
  }
  await unreachable("draining", 9);
  assert.deepEqual(out(), []);
  there.delete("i2");
  for (let at = 0; at < 9; at++) ejecting.heard(ended(SILENCE));
  assert.deepEqual(out(), [], "it is the only one now");
});

Deno.test("who could not be connected to is asked of HAProxy, once for many lines", async () => {
  const { ejecting, asked, out, unreachable, clock } = judging(["i1", "i2", "i3"]);
  for (let at = 0; at < 3; at++) ejecting.heard(ended({ server: "i2", retries: 1 }));
  await unreachable("i1", 4, 1);
  assert.deepEqual([asked, out()], [["b001"], []]);
  await unreachable("i1", 1);
  assert.deepEqual([asked.length, out()], [2, ["i1"]]);
  assert.deepEqual(clock.begun, [GATHER_MS, GATHER_MS, OUT_MS + 1]);
});

Deno.test("failures from before this sidecar's time are not held against anybody", async () => {
  const { failures, out, unreachable } = judging(["i1", "i2", "i3"]);
  failures.counts.set("i1", 1_000);
  failures.counts.set("i3", 1_000);
  await unreachable("i1", 1);
  assert.deepEqual(out(), []);
  for (let at = 0; at < 3; at++) await unreachable("i1", 1);
  assert.deepEqual(out(), []);
  await unreachable("i1", 1);
  assert.deepEqual(out(), ["i1"]);
});

Deno.test("a new worker begins to count anew", async () => {
  const { failures, out, unreachable } = judging(["i1", "i2", "i3"]);
  await unreachable("i1", 4);
  failures.worker = 2;
  failures.counts.clear();
  await unreachable("i1", 1);
  assert.deepEqual(out(), ["i1"]);
});

Deno.test("a service or slot that is gone is forgotten, and begins anew if it comes back", async () => {
  const places = new Map([["b001", "identity"], ["b002", "teams"]]);
  const three = new Set(["i1", "i2", "i3"]);
  const services = new Map([["identity", three], ["teams", three]]);
  const { ejecting, out, unreachable } = judging([], {
    serviceOf: (slot) => places.get(slot),
    instancesOf: (service) => services.get(service) ?? new Set(),
  });
  for (let at = 0; at < 4; at++) ejecting.heard(ended(SILENCE));
  services.delete("identity");
  ejecting.heard(ended({ ...SILENCE, backend: "b002" }));
  services.set("identity", three);
  ejecting.heard(ended(SILENCE));
  assert.deepEqual(out(), [], "the first since it is back");

  await unreachable("i1", 1);
  places.delete("b001");
  await unreachable("i1", 1, 1, "b002");
  places.set("b001", "identity");
  // Of those that happened meanwhile it is not known whose they are.
  await unreachable("i1", 9, 1);
  assert.deepEqual(out(), []);
});

Deno.test("what is heard while HAProxy is asked is asked after, and one that does not answer is asked again", async () => {
  const gates: PromiseWithResolvers<{ worker: number; counts: Map<string, number> }>[] = [];
  const { ejecting, clock, out } = judging(["i1", "i2", "i3"], {
    connectFailures: () => (gates.push(Promise.withResolvers()), gates.at(-1)?.promise ?? assert.fail()),
  });
  const turn = () => new Promise((done) => setTimeout(done, 0));
  ejecting.heard(ended({ server: "i2", retries: 5 }));
  (await clock.nap(GATHER_MS)).end();
  await turn();
  ejecting.heard(ended({ server: "i2", retries: 5 }));
  await turn();
  assert.equal(gates.length, 1);
  gates[0]?.reject(new Error("it hangs"));
  (await clock.nap(GATHER_MS)).end();
  await turn();
  gates[1]?.resolve({ worker: 1, counts: new Map([["i1", 10]]) });
  await turn();
  assert.deepEqual(out(), ["i1"]);
});

Deno.test("nothing is asked and nobody comes back after the end", async () => {
  const { ejecting, asked, changes, clock } = judging(["i1", "i2", "i3"]);
  for (let at = 0; at < 5; at++) ejecting.heard(ended(SILENCE));
  const back = await clock.nap(OUT_MS + 1);
  ejecting.heard(ended({ server: "i2", retries: 1 }));
  ejecting[Symbol.dispose]();
  back.end();
  await new Promise((done) => setTimeout(done, 0));
  assert.deepEqual([asked, changes], [[], ["identity"]]);
});
