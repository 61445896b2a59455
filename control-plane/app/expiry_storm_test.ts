/** Hosts that fall silent, crash and come back, while the store refuses writes and the control plane restarts. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { BRAKE } from "../domain/brake.ts";
import type { LeaseId } from "../domain/names.ts";
import { isRefusal } from "../domain/refusal.ts";
import { openMemoryStore } from "../store/memory.ts";
import type { Commit, Sweep, Write } from "../store/store.ts";
import { caller, overlaid, register, TestClock, type TestPlane, testPlane } from "./testing.ts";

const TTL = 9_000;
const STEP = 500;
const END = 5 * TTL;

/** A registrar of some instances under one lease, which beats three times a ttl. */
class Host {
  lease: LeaseId | undefined;
  /** When its last good beat was sent. */
  good = -Infinity;

  constructor(readonly name: string, readonly instances: number, private readonly careful: boolean) {}

  async beat(plane: TestPlane, now: number): Promise<void> {
    const silent = now - this.good >= TTL;
    if (this.lease !== undefined && !plane.leases.beat(this.lease)) this.lease = undefined;
    // Who was silent for a whole ttl makes sure of all that it has.
    if (this.lease === undefined || this.careful && silent) await this.#register(plane);
    if (this.lease !== undefined) this.good = now;
  }

  async #register(plane: TestPlane): Promise<void> {
    for (let n = 0; n < this.instances; n++) {
      const registration = register(n % 2 === 0 ? "a" : "b", `${this.name}-${n}`, { ttl: TTL });
      const outcome = await plane.operations.execute(caller, registration, this.lease);
      if (isRefusal(outcome)) return void (this.lease = undefined);
      this.lease = outcome.lease;
    }
  }

  /** Of its instances, those that are there; with a `!` those that are held. */
  there(plane: TestPlane): string[] {
    return [...plane.ids("a"), ...plane.ids("b")].filter((id) => id.startsWith(`${this.name}-`));
  }
}

interface Plan {
  readonly instances: number;
  /** When in a third of a ttl it beats, in steps. */
  readonly phase: number;
  /** In steps. */
  readonly silences: readonly (readonly [from: number, length: number])[];
  /** In steps; none: it lives. */
  readonly crash: number | null;
}

const step = fc.integer({ min: 0, max: END / STEP });
const span = fc.tuple(step, fc.integer({ min: 1, max: 2 * TTL / STEP }));
const anyPlan: fc.Arbitrary<Plan> = fc.record({
  instances: fc.integer({ min: 1, max: 4 }),
  phase: fc.integer({ min: 0, max: 5 }),
  silences: fc.array(span, { maxLength: 2 }),
  crash: fc.option(step, { freq: 2 }),
});

const during = (spans: readonly (readonly [number, number])[], at: number) =>
  spans.some(([from, length]) => at >= from && at < from + length);

Deno.test("who is told that its lease stands has all of its instances, whatever happened; who crashed is gone or held", async () => {
  const storm = fc.record({
    plans: fc.array(anyPlan, { minLength: 2, maxLength: 7 }),
    full: fc.array(span, { maxLength: 2 }),
    restarts: fc.array(step, { maxLength: 2 }),
    careful: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(storm, async ({ plans, full, restarts, careful }) => {
      const memory = openMemoryStore();
      const clock = new TestClock();
      let now = -1;
      const no: Commit = { kind: "refused", reason: "the disk is full" };
      // At times one of the two services cannot be written.
      const refuses = (writes: readonly (Write | Sweep)[]) =>
        during(full, now) && writes.some((write) => "key" in write && write.key.startsWith("map/local/b/"));
      const store = overlaid(memory, {
        commit: async (writes, guards) => refuses(writes) ? no : await memory.commit(writes, guards),
      });
      let plane = await testPlane({ store, clock });
      const hosts = plans.map(({ instances }, n) => new Host(`h${n}`, instances, careful));
      for (now = 0; now < (END + 4 * TTL) / STEP; now++) {
        clock.pass(STEP);
        // One that begins anew does not know whose removal was under way: only who makes sure of all that it has finds out.
        if (careful && restarts.includes(now)) {
          await plane[Symbol.asyncDispose]();
          plane = await testPlane({ store, clock });
        }
        for (const [n, { phase, silences, crash }] of plans.entries()) {
          if ((now + phase) % 6 !== 0 || now >= (crash ?? Infinity) || during(silences, now)) continue;
          await hosts[n]!.beat(plane, clock.monotonicMs);
        }
        await plane.look();
      }
      for (const [n, { crash }] of plans.entries()) {
        const host = hosts[n]!;
        const there = host.there(plane);
        if (crash === null) assert.deepEqual(there.sort(), names(host), `${host.name} lives`);
        else assert.ok(there.every((id) => id.endsWith("!")), `${host.name} crashed: ${there}`);
      }
      await plane[Symbol.asyncDispose]();
    }),
    { numRuns: 300 },
  );
});

function names({ name, instances }: Host): string[] {
  return Array.from({ length: instances }, (_, n) => `${name}-${n}`).sort();
}

const sum = (hosts: readonly { instances: number }[]) => hosts.reduce((sum, { instances }) => sum + instances, 0);
/** Whether these, running out within one ttl, are too many. */
const tooMany = (hosts: readonly { instances: number }[], total: number) =>
  hosts.length >= BRAKE.leases && sum(hosts) >= BRAKE.instances && 100 * sum(hosts) > BRAKE.percent * total;

Deno.test("the brake keeps its word over time: too many together stay, fewer go, and all is decided within a ttl", async () => {
  const seen = { gone: 0, held: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(anyPlan, { minLength: 2, maxLength: 10, size: "max" }), async (plans) => {
      const clock = new TestClock();
      await using plane = await testPlane({ clock });
      const hosts = plans.map(({ instances }, n) => new Host(`h${n}`, instances, false));
      for (const host of hosts) await host.beat(plane, 0);
      const decidedAt = new Map<Host, number>();
      for (let now = 1; now <= (END + 4 * TTL) / STEP; now++) {
        clock.pass(STEP);
        for (const [n, { phase, crash }] of plans.entries()) {
          const host = hosts[n]!;
          if ((now + phase) % 6 === 0 && now < (crash ?? Infinity)) await host.beat(plane, clock.monotonicMs);
        }
        await plane.look();
        for (const host of hosts) {
          const decided = host.there(plane).every((id) => id.endsWith("!"));
          if (decided && !decidedAt.has(host)) decidedAt.set(host, clock.monotonicMs);
        }
      }
      const crashed = hosts.filter((_, n) => plans[n]!.crash !== null);
      const end = (host: Host) => host.good + TTL;
      const from = (start: number, length: number, among: readonly Host[]) =>
        among.filter((host) => end(host) >= start && end(host) <= start + length);
      assert.deepEqual([...decidedAt.keys()].sort(byName), [...crashed].sort(byName), "nobody else is touched");
      for (const host of crashed) assert.ok(decidedAt.get(host)! <= end(host) + TTL + STEP, "it is decided in time");
      const gone = crashed.filter((host) => host.there(plane).length === 0);
      seen.gone += gone.length;
      seen.held += crashed.length - gone.length;
      const lives = sum(hosts) - sum(crashed);
      for (const host of crashed) {
        const windows = crashed.map(end).filter((start) => end(host) >= start && end(host) <= start + TTL)
          .map((start) => from(start, TTL, crashed));
        if (!windows.some((window) => tooMany(window, lives + sum(window)))) assert.ok(gone.includes(host), "few go");
        // All of these missed a beat before the first of them ran out.
        const together = from(end(host), TTL / 2, crashed);
        if (tooMany(together, sum(hosts))) assert.ok(together.every((one) => !gone.includes(one)), "many stay");
        assert.ok(!tooMany(from(end(host), TTL, gone), sum(hosts)), "too many went");
      }
    }),
    { numRuns: 300 },
  );
  assert.ok(seen.gone > 20 && seen.held > 20, JSON.stringify(seen));
});

function byName(a: Host, b: Host): number {
  return a.name < b.name ? -1 : 1;
}
