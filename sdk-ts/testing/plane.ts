/** A control plane as registrars see it, for tests. */
import assert from "node:assert/strict";
import { Instance_Status } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { DeregisterRequest, RegisterRequest, RenewRequest } from "../../proto/gen/portolan/v1/registry_pb.ts";
import { Inbox } from "../../proto/testing/inbox.ts";
import type { RegisterOptions } from "../register.ts";
import type { TestClock } from "./clock.ts";
import { type FakeControlPlane, type Renewals, type Script, serveFake } from "./control_plane.ts";

export const TTL_MS = 15_000;
/** Between two beats. */
export const BEAT_MS = 5_000;

/** A control plane that opens a lease for whoever asks for none: `l1`, `l2`, …; the test plays the streams of beats. */
export class Plane implements AsyncDisposable {
  readonly registered: RegisterRequest[] = [];
  readonly deregistered: DeregisterRequest[] = [];
  readonly #streams = new Inbox<Renewals>();
  #leases = 0;
  #serving!: FakeControlPlane;

  static async serve(script: Script = {}): Promise<Plane> {
    const plane = new Plane();
    plane.#serving = await serveFake({
      register: (request: RegisterRequest) => {
        plane.registered.push(request);
        return { revision: BigInt(plane.registered.length), leaseId: request.leaseId || plane.open() };
      },
      deregister: (request: DeregisterRequest) => (plane.deregistered.push(request), { revision: 9n }),
      renew: (stream) => plane.#streams.put(stream),
      ...script,
    });
    return plane;
  }

  get address(): string {
    return this.#serving.address;
  }

  /** How many streams wait to be played. */
  get waiting(): number {
    return this.#streams.size;
  }

  open(): string {
    return `l${++this.#leases}`;
  }

  stream(): Promise<Renewals> {
    return this.#streams.next();
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#serving[Symbol.asyncDispose]();
  }
}

export function options(planes: readonly Plane[], id = "i1", more: Partial<RegisterOptions> = {}): RegisterOptions {
  return {
    controlPlanes: planes.map(({ address }) => address),
    realm: "local",
    service: "identity",
    id,
    instance: { host: "127.0.0.1", port: 8080, ttlMs: TTL_MS },
    ...more,
  };
}

export async function hear({ heard }: Renewals): Promise<RenewRequest> {
  const { value, done } = await heard.next();
  assert.ok(!done, "the stream has ended");
  return value;
}

/** Answers a beat after 1 ms, so that what is left until the next one tells it from the patience for an answer. */
export async function beat(stream: Renewals, clock: TestClock, alive = true, epoch = 1n): Promise<RenewRequest> {
  const request = await hear(stream);
  clock.pass(1);
  stream.send(request.leaseId, alive, epoch);
  return request;
}

/** The wait for the next beat. */
export const untilNext = (clock: TestClock) => clock.nap(BEAT_MS - 1);
/** Statuses of a beat. */
export const said = ({ statuses }: RenewRequest) =>
  statuses.map(({ id, status }) => `${id} ${Instance_Status[status]}`);
