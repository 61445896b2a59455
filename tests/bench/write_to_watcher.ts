/** From a write, over HTTP or gRPC, to a watcher that has the update. The writer and the watcher are this process. */
import { join } from "node:path";
import { BareClient } from "./bare_grpc.ts";
import { startBareServer } from "./bare_server.ts";
import { BareStore } from "./bare_store.ts";
import { Connection, request } from "./connection.ts";
import { nextPut, nextWrite, registryOf, revisionOf, startControlPlane } from "./control_plane.ts";
import { type Figure, figure, type Sample, takeTurns } from "./measure.ts";
import type { Sizes } from "./sizes.ts";
import { watchBare, watchMap } from "./watch.ts";

export async function writeToWatcher(sizes: Sizes, folder: string): Promise<readonly Figure[]> {
  await using used = new AsyncDisposableStack();
  const controlPlane = used.use(await startControlPlane(join(folder, "map"), sizes));
  const bare = used.use(await startBareServer(folder, controlPlane.updateBytes, controlPlane.readBytes));
  const answered: number[] = [];
  const found = await takeTurns({
    ...await ours(controlPlane, sizes, used, (ms) => answered.push(ms)),
    ...await bareWrites(bare, used),
    sqlite: sqliteAlone(used.use(new BareStore(join(folder, "alone.sqlite")))),
    echo: echo(used.use(new BareClient(bare.grpc)), controlPlane.updateBytes),
    answer: await bareAnswer(used.use(await Connection.open(bare.http))),
  }, { rounds: sizes.rounds, ...sizes.writes });
  const parts = {
    "SQLite alone: one commit": found.sqlite,
    "grpc-js alone: echo on a stream": found.echo,
  };
  const answers = { "hono alone: PUT answered at once": found.answer };
  const putAnswered = answered.slice(sizes.writes.warmUp);
  return [
    figure("HTTP PUT → watcher", found.put, { "bare PUT → SQLite → stream": found.barePut, ...parts, ...answers }),
    figure("HTTP PUT → its answer", putAnswered, { "bare PUT → SQLite → answer": found.bareCommit, ...answers }),
    figure("gRPC Register → watcher", found.register, { "bare call → SQLite → stream": found.bareCall, ...parts }),
  ];
}

/** Waits for updates that something else brings about. */
class Arrivals {
  #revision = 0n;
  #at = 0;
  #wake = () => {};

  /** The map of that revision is here. */
  note(revision: bigint): void {
    [this.#revision, this.#at] = [revision, performance.now()];
    this.#wake();
  }

  /** When it came. Writes follow each other, so nothing newer has come in its place. */
  async of(revision: bigint): Promise<number> {
    while (this.#revision < revision) await new Promise<void>((resolve) => this.#wake = resolve);
    return this.#at;
  }
}

async function ours(
  controlPlane: { readonly http: number; readonly grpc: string },
  sizes: Sizes,
  used: AsyncDisposableStack,
  onAnswer: (ms: number) => void,
): Promise<Record<"put" | "register", Sample>> {
  const arrivals = new Arrivals();
  used.use(await watchMap(controlPlane.grpc, [], ({ part }) => arrivals.note(part?.position?.revision ?? 0n)));
  const connection = used.use(await Connection.open(controlPlane.http));
  const registry = used.use(registryOf(controlPlane));
  return {
    put: async () => {
      const bytes = nextPut(sizes);
      const begun = performance.now();
      const revision = revisionOf(await connection.must(bytes));
      onAnswer(performance.now() - begun);
      return await arrivals.of(revision) - begun;
    },
    register: async () => {
      const write = { realm: "local", ...nextWrite(sizes) };
      const begun = performance.now();
      const { revision } = await registry.register(write);
      return await arrivals.of(revision) - begun;
    },
  };
}

async function bareWrites(
  bare: { readonly http: number; readonly grpc: string },
  used: AsyncDisposableStack,
): Promise<Record<"barePut" | "bareCall" | "bareCommit", Sample>> {
  const arrivals = new Arrivals();
  let count = 0n;
  used.use(await watchBare(bare.grpc, () => arrivals.note(++count)));
  const connection = used.use(await Connection.open(bare.http));
  const client = used.use(new BareClient(bare.grpc));
  const sample = (write: () => Promise<unknown>) => async () => {
    const next = count + 1n;
    const begun = performance.now();
    await write();
    return await arrivals.of(next) - begun;
  };
  const put = request("PUT", "/path", BODY);
  const commit = request("PUT", "/commit", BODY);
  return {
    barePut: sample(() => connection.must(put)),
    bareCall: sample(() => client.write(Buffer.from(BODY))),
    bareCommit: async () => {
      const begun = performance.now();
      await connection.must(commit);
      return performance.now() - begun;
    },
  };
}

/** As a control plane keeps it. */
const BODY = JSON.stringify({
  host: "127.0.0.1",
  port: 10_000,
  version: 1,
  weight: 100,
  metadata: {},
  enabled: true,
});

function sqliteAlone(store: BareStore): Sample {
  const value = new TextEncoder().encode(BODY);
  let writes = 0;
  return () => {
    const key = `instance/local/service/${writes++ % 500}`;
    const begun = performance.now();
    store.put(key, value);
    return Promise.resolve(performance.now() - begun);
  };
}

function echo(client: BareClient, bytes: number): Sample {
  let back = () => {};
  const stream = client.open("echo", () => back());
  const message = Buffer.alloc(bytes, "e");
  return async () => {
    const begun = performance.now();
    await new Promise<void>((resolve) => {
      back = resolve;
      stream.write(message);
    });
    return performance.now() - begun;
  };
}

async function bareAnswer(connection: Connection): Promise<Sample> {
  const put = request("PUT", "/answer", BODY);
  await connection.must(put);
  return async () => {
    const begun = performance.now();
    await connection.must(put);
    return performance.now() - begun;
  };
}
