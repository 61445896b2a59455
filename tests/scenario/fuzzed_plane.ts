/** A control plane without sockets, to be fuzzed: what its map is, and what it took for its own fault. */
import assert from "node:assert/strict";
import { Operations } from "../../control-plane/app/operations.ts";
import { Followers } from "../../control-plane/app/followers.ts";
import { openHub } from "../../control-plane/app/hub.ts";
import { openMemoryStore } from "../../control-plane/store/memory.ts";
import { httpApp } from "../../control-plane/transport/http.ts";
import { type Log, SILENT } from "../../proto/log.ts";

export async function fuzzedPlane() {
  await using stack = new AsyncDisposableStack();
  const faults: string[] = [];
  const log: Log = { ...SILENT, error: (message, fields) => faults.push(`${message}: ${fields?.["error"]}`) };
  const store = stack.use(openMemoryStore());
  const hub = stack.use(await openHub({ store, log, now: () => 7 }));
  const operations = new Operations(store, hub, log, { minRevisionWaitMs: 0 });
  const ports = { operations, followers: new Followers(() => 7), log };
  const app = httpApp(ports, new AbortController().signal);
  const running = stack.move();
  return {
    ports,
    request: async (path: string, init?: RequestInit) => await app.fetch(new Request(`http://localhost${path}`, init)),
    /** The whole map: another object once anything was written. */
    map: () => hub.current(),
    /** Fails with what was logged as an error. */
    assertNoFaults: () => assert.deepEqual(faults, []),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

export type FuzzedPlane = Awaited<ReturnType<typeof fuzzedPlane>>;
