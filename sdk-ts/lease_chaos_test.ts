import assert from "node:assert/strict";
import { status } from "@grpc/grpc-js";
import fc from "fast-check";
import type { DeregisterRequest, RegisterRequest } from "../proto/gen/portolan/v1/registry_pb.ts";
import { turn } from "../proto/testing/turn.ts";
import { type Ports, REAL } from "./ports.ts";
import { register } from "./register.ts";
import { type Renewals, type Script, serveFake } from "./testing/control_plane.ts";

/** Many times as fast as it is meant to be. */
const SPEED = 25;
const FAST: Ports = {
  random: Math.random,
  now: () => performance.now() * SPEED,
  sleep: (ms, signal) => REAL.sleep(ms / SPEED, signal),
};

/** What may go wrong, next after next; then nothing more. */
type Fault = "refuse" | "lose" | "break" | "silence" | "expire";
const faults = fc.array(
  fc.option(fc.constantFrom<Fault>("refuse", "lose", "break", "silence", "expire"), { nil: undefined, freq: 2 }),
  { maxLength: 30 },
);

/** Control planes over one store, which keep the rules of leases and of operation ids. */
class Registry {
  readonly instances = new Map<string, string>();
  readonly beaten = new Set<string>();
  streams = 0;
  readonly #faults: (Fault | undefined)[];
  readonly #operations = new Map<string, { revision: bigint; leaseId: string }>();
  #leases = 0;

  constructor(faults: readonly (Fault | undefined)[]) {
    this.#faults = [...faults];
  }

  get calm(): boolean {
    return this.#faults.length === 0;
  }

  readonly script: Script = {
    register: (request: RegisterRequest) => this.#register(request),
    deregister: ({ id }: DeregisterRequest) => (this.instances.delete(id), { revision: 1n }),
    renew: (stream) => this.#renew(stream),
  };

  stands(lease: string): boolean {
    return [...this.instances.values()].includes(lease);
  }

  #next(): Fault | undefined {
    const fault = this.#faults.shift();
    if (fault === "expire") this.instances.clear();
    return fault;
  }

  #register({ id, leaseId, options }: RegisterRequest) {
    const fault = this.#next();
    const operation = options?.operationId ?? "";
    if (fault === "refuse") return { code: status.UNAVAILABLE, details: "no store" };
    let answer = this.#operations.get(operation);
    if (!answer) {
      if (leaseId !== "" && !this.stands(leaseId)) return { code: status.NOT_FOUND, details: "no such lease" };
      if (options?.expectedRevision === 0n && this.instances.has(id)) {
        return { code: status.FAILED_PRECONDITION, details: "it exists" };
      }
      answer = { revision: 1n, leaseId: leaseId || `l${++this.#leases}` };
      this.#operations.set(operation, answer);
      this.instances.set(id, answer.leaseId);
    }
    return fault === "lose" ? { code: status.UNKNOWN, details: "perhaps" } : answer;
  }

  async #renew(stream: Renewals): Promise<void> {
    this.streams++;
    for await (const { leaseId } of { [Symbol.asyncIterator]: () => stream.heard }) {
      const fault = this.#next();
      if (fault === "break") stream.close(status.UNAVAILABLE);
      if (fault === "break") break;
      if (this.stands(leaseId)) this.beaten.add(leaseId);
      if (fault !== "silence") stream.send(leaseId, this.stands(leaseId));
    }
    this.streams--;
  }
}

Deno.test("whatever breaks, in the end all instances of a process are held by one lease, which is kept", async () => {
  await fc.assert(
    fc.asyncProperty(faults, async (faults) => {
      const registry = new Registry(faults);
      await using one = await serveFake(registry.script);
      await using two = await serveFake(registry.script);
      const ids = ["i1", "i2", "i3", "i4"];
      const registrations = await Promise.all(ids.map((id) =>
        register({
          controlPlanes: [one.address, two.address],
          realm: "local",
          service: "identity",
          id,
          instance: { host: "127.0.0.1", port: 8080, ttlMs: 3_000 },
        }, FAST)
      ));
      const settled = () => {
        const leases = new Set(registry.instances.values());
        return registry.calm && registry.instances.size === ids.length && leases.size === 1 &&
          registry.beaten.has([...leases][0] ?? "") && registrations.every(({ alive }) => alive);
      };
      while (!settled()) await turn();
      await Promise.all(registrations.map((registration) => registration[Symbol.asyncDispose]()));
      assert.equal(registry.instances.size, 0);
      while (registry.streams > 0) await turn();
    }),
    { numRuns: 15 },
  );
});
