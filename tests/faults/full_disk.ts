import assert from "node:assert/strict";
import { status } from "@grpc/grpc-js";
import { RegistryService } from "../../proto/gen/portolan/v1/registry_pb.ts";
import { createClient } from "../../proto/grpc.ts";
import { Connection, request } from "../bench/connection.ts";
import { CommittedLog } from "./committed_log.ts";
import { defineFault } from "./fault.ts";
import { type Figure, Tally } from "./figures.ts";
import { readMap } from "./folded.ts";
import type { Operation } from "./model.ts";
import { updateOf, WatchOracle } from "./oracle_watch.ts";
import { openRawWatch } from "./raw_watch.ts";
import { between, type Chance } from "./seed.ts";
import { mountSmallDisk, type SmallDisk, whyNoSmallDisk } from "./small_disk.ts";

interface Sizes {
  readonly diskBytes: number;
  /** How often it becomes full and empty again. */
  readonly rounds: number;
}

export const fullDisk = defineFault<Sizes>({
  name: "F18",
  fault: "the disk of the store is full, and has room again",
  promise: "writes are UNAVAILABLE and left no trace; reads and watches go on; it recovers by itself",
  missing: whyNoSmallDisk,
  small: { diskBytes: 8 << 20, rounds: 2 },
  full: { diskBytes: 8 << 20, rounds: 30 },
  run,
});

type Plane = Awaited<ReturnType<SmallDisk["startPlane"]>>;

async function run({ diskBytes, rounds }: Sizes, chance: Chance): Promise<readonly Figure[]> {
  await using disk = await mountSmallDisk(diskBytes);
  const tally = new Tally();
  let log: CommittedLog;
  {
    await using plane = await disk.startPlane();
    const { position } = await readMap(plane, "local", []);
    log = new CommittedLog(position.epoch, position.revision);
    using watcher = new Watcher(plane, log);
    for (let round = 0; round < rounds; round++) {
      await disk.fill(between(chance, 0, 40_000));
      const refused = await writeUntil("refused", plane, log, chance, tally);
      await assertRefused(plane, log, refused);
      await disk.empty();
      await writeUntil("written", plane, log, chance, tally);
      // On the stream that stood all the time.
      await watcher.has(log.settled);
    }
    assert.equal(watcher.ended, undefined);
  }
  await using plane = await disk.startPlane();
  assertSame(await readMap(plane, "local", []), log);
  return tally.figures();
}

/** Writes on and on; answers with the operation whose answer ended it. */
async function writeUntil(kind: "written" | "refused", plane: Plane, log: CommittedLog, chance: Chance, tally: Tally) {
  using connection = await Connection.open(plane.http);
  for (;;) {
    const metadata = { fill: "f".repeat(between(chance, 0, 300)) };
    const instance = { port: between(chance, 1, 65_535), version: 1, weight: 1, hostId: "h", metadata };
    const id = `i${chance.below(20)}`;
    const operation = { kind: "register", service: "local/a", id, instance } as const satisfies Operation;
    const body = JSON.stringify({ host: "127.0.0.1", ...instance });
    const answer = await connection.ask(request("PUT", `/api/v1/realms/local/services/a/instances/${id}`, body));
    tally.count(`writes answered with ${answer.status}`);
    if (answer.status === 200) log.add({ revision: BigInt(JSON.parse(answer.body).revision), operation });
    else assert.deepEqual([answer.status, JSON.parse(answer.body).code], [503, "UNAVAILABLE"], answer.body);
    if ((answer.status === 200) === (kind === "written")) return operation;
  }
}

/** Over gRPC it is refused alike, and what was refused is not there; what was there can be read. */
async function assertRefused(plane: Plane, log: CommittedLog, { id, instance }: Operation & { kind: "register" }) {
  const client = createClient(RegistryService, plane.grpc, { "grpc.use_local_subchannel_pool": 1 });
  try {
    const spec = { host: "127.0.0.1", port: instance.port, metadata: { fill: "f".repeat(4_000) } };
    const writing = client.register({ realm: "local", service: "a", id, instance: spec }, { timeoutMs: 10_000 });
    await assert.rejects(writing, { code: status.UNAVAILABLE });
  } finally {
    client.close();
  }
  assertSame(await readMap(plane, "local", []), log);
}

function assertSame(read: Awaited<ReturnType<typeof readMap>>, log: CommittedLog): void {
  log.assertWhole();
  const expected = log.names("local", log.settled).map((name) => log.at(name, log.settled));
  assert.deepEqual(read.set.map(({ text }) => text), expected);
  assert.deepEqual(read.position, { ...read.position, epoch: log.epoch, revision: log.settled });
}

class Watcher implements Disposable {
  /** Why its stream ended. */
  ended: string | undefined;
  readonly #oracle: WatchOracle;
  readonly #watch: ReturnType<typeof openRawWatch>;
  #revision = 0n;
  #wake = () => {};

  constructor(plane: Plane, log: CommittedLog) {
    this.#oracle = new WatchOracle("the watcher", "local", () => log);
    this.#watch = openRawWatch({
      address: plane.grpc,
      realm: "local",
      onPart: (part) => {
        const update = updateOf([part]);
        this.#oracle.updated(update);
        this.#revision = update.position.revision;
        this.#watch.received(update.position);
        this.#wake();
      },
    });
    this.#watch.ended.then((why) => this.ended = why);
    this.#oracle.subscribed([], undefined);
    this.#watch.subscribe(1, [], undefined);
  }

  async has(revision: bigint): Promise<void> {
    while (this.#revision < revision) await new Promise<void>((resolve) => this.#wake = resolve);
    this.#oracle.assertChecked();
  }

  [Symbol.dispose](): void {
    this.#watch.cancel();
  }
}
