import assert from "node:assert/strict";
import { join } from "node:path";
import { type Instance, Instance_Status } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { Follower_Kind } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { follow, type Following } from "../../sdk-ts/follow.ts";
import type { CommittedLog } from "./committed_log.ts";
import { defineFault } from "./fault.ts";
import type { Figure } from "./figures.ts";
import { readMap } from "./folded.ts";
import { type Plane, startPlane } from "./plane.ts";
import { writeMany } from "./run_storm.ts";
import { type Chance, fork } from "./seed.ts";
import { type Audience, Storm } from "./storm.ts";
import { temporaryFolder } from "./temporary_folder.ts";

interface Sizes extends Audience {
  readonly writers: number;
  /** Before the backup, after it, and once it was put back. */
  readonly kept: number;
  readonly lost: number;
  readonly later: number;
  /** How often it is put back. */
  readonly rounds: number;
}

/** Everybody who watches is ahead of what the store has then. A backup says what it is; of a copied file, who comes back. */
export const restored = defineFault<Sizes>({
  name: "F16",
  fault: "the store is put back from an older backup, while everybody watches",
  promise: "a new epoch begins; everybody starts again and holds the server's map; nobody is stuck or emptied",
  small: { watchers: 8, readers: 3, followers: 0, writers: 6, kept: 200, lost: 100, later: 200, rounds: 4 },
  full: { watchers: 80, readers: 20, followers: 0, writers: 16, kept: 5_000, lost: 2_000, later: 5_000, rounds: 6 },
  run,
});

async function run(sizes: Sizes, chance: Chance): Promise<readonly Figure[]> {
  await using folder = await temporaryFolder();
  await using plane = await startPlane({ folder: folder.path });
  using storm = await Storm.begin(plane, { putBack: true });
  storm.attract(sizes, chance);
  const backups: Backup[] = [];
  let writers = storm.writers(sizes.writers, chance);
  for (let round = 1; round <= sizes.rounds; round++) {
    await storm.during(writeMany(writers, sizes.kept));
    backups.push(await backUp(storm));
    await storm.during(writeMany(writers, sizes.lost));
    await using routed = await Routed.begin(storm, `late-${round}`);
    // Every other time it is the oldest one again: of an epoch that ended long ago.
    const { bytes, log } = backups[round % 2 === 0 ? 0 : round - 1] as Backup;
    const copied = round % 4 < 2 ? copyOfFile(bytes) : bytes;
    const { epoch } = storm.log;
    await plane.end("SIGKILL");
    await putBack(folder.path, copied);
    await plane.revive();
    const begun = performance.now();
    const position = await storm.during(newEpoch(plane, epoch));
    storm.peak("a new epoch has begun after, ms", Math.round(performance.now() - begun));
    storm.turn(log.next(position.epoch, position.revision));
    // Nobody remembers what became of what was lost.
    writers = storm.writers(sizes.writers, fork(chance), round * sizes.writers);
    await storm.during(writeMany(writers, sizes.later));
    await routed.assertKept();
  }
  await storm.finish(writers);
  return storm.figures();
}

interface Backup {
  readonly bytes: Uint8Array;
  /** What it holds. */
  readonly log: CommittedLog;
}

/** While nobody writes. */
export async function backUp({ plane, log }: Storm): Promise<Backup> {
  const response = await fetch(`http://127.0.0.1:${plane.http}/api/v1/backup`);
  assert.equal(response.status, 200);
  return { bytes: await response.bytes(), log: log.next(log.epoch, log.settled) };
}

export async function putBack(folder: string, backup: Uint8Array): Promise<void> {
  const path = join(folder, "map.sqlite");
  // What the killed one left beside it belongs to the newer file.
  for await (const { name } of Deno.readDir(folder)) await Deno.remove(join(folder, name));
  await Deno.writeFile(path, backup);
}

/** What somebody who copies files has instead of a backup: nothing in it says that it is a copy. */
function copyOfFile(backup: Uint8Array): Uint8Array {
  const copy = backup.slice();
  assert.equal(new TextDecoder().decode(copy.subarray(68, 72)), "Prtc");
  copy.set(new TextEncoder().encode("Prtl"), 68);
  return copy;
}

/** Where the map stands once the new epoch has begun. */
async function newEpoch(plane: Plane, before: bigint) {
  for (;;) {
    const { position } = await readMap(plane, "other", []);
    if (position.epoch > before) return position;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What a host routes to: a service that was registered after the backup, by registrars who need some time. */
class Routed implements AsyncDisposable {
  readonly #storm: Storm;
  readonly #service: string;
  readonly #following: Following;
  #epoch = 0n;

  static async begin(storm: Storm, service: string): Promise<Routed> {
    const routed = new Routed(storm, service);
    await routed.#register("a", 1);
    await routed.#register("b", 1);
    await routed.#until((instances) => instances.length === 2);
    return routed;
  }

  private constructor(storm: Storm, service: string) {
    this.#storm = storm;
    this.#service = service;
    this.#following = follow({
      controlPlanes: [storm.plane.grpc],
      scope: { realm: "local", services: [service] },
      follower: { id: service, kind: Follower_Kind.SDK, program: "faults/1", zone: "" },
    });
  }

  /** Both are still routed to though the map has none, and then the one that came back as it says. */
  async assertKept(): Promise<void> {
    const before = this.#epoch;
    const kept = await this.#until((_, epoch) => epoch > before);
    assert.deepEqual(kept.map(({ id, status }) => [id, status]), [
      ["a", Instance_Status.UNKNOWN],
      ["b", Instance_Status.UNKNOWN],
    ]);
    await this.#register("a", 2);
    await this.#until((instances) => instances.map(({ port }) => port).join() === "2,1");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#following[Symbol.asyncDispose]();
  }

  async #register(id: string, port: number): Promise<void> {
    const { plane, log } = this.#storm;
    const instance = { port, version: 1, weight: 1, hostId: "late", metadata: {} };
    const path = `/realms/local/services/${this.#service}/instances/${id}`;
    const { revision } = await plane.call<{ revision: string }>(path, "PUT", { host: "127.0.0.1", ...instance });
    const operation = { kind: "register", service: `local/${this.#service}`, id, instance } as const;
    log.add({ revision: BigInt(revision), operation });
  }

  /** The instances that are routed to once they are so. */
  async #until(is: (instances: readonly Instance[], epoch: bigint) => boolean): Promise<readonly Instance[]> {
    for await (const { services, position } of this.#following) {
      const instances = services.get(this.#service)?.instances ?? [];
      if (!is(instances, position.epoch)) continue;
      this.#epoch = position.epoch;
      return instances;
    }
    throw new Error("The follower ended");
  }
}
