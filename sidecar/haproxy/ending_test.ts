import assert from "node:assert/strict";
import { endHaproxy } from "./ending.ts";
import { startTeller } from "./testing/teller.ts";

const GRACE_MS = 100;

Deno.test("endHaproxy() waits for what is under way, as long as it may where nobody can tell whether something is", async () => {
  for (const [statistics, waits] of [["scur\n0\n", false], ["scur\n1\n", true], ["current\n0\n", true]] as const) {
    await using worker = await startTeller(statistics);
    const ended = Promise.withResolvers<Record<string, unknown>>();
    const signalled = new Map<string, number>();
    const signal = (name: string) => {
      signalled.set(name, performance.now());
      if (name === "SIGTERM") ended.resolve({});
      return Promise.resolve();
    };
    await endHaproxy({ pid: 1, ended: ended.promise, signal, release() {} }, worker.path, GRACE_MS);
    assert.deepEqual([...signalled.keys()], ["SIGUSR1", "SIGTERM"]);
    const waitedMs = (signalled.get("SIGTERM") ?? 0) - (signalled.get("SIGUSR1") ?? 0);
    // A timer may be early by a part of a ms.
    if (waits) assert.ok(waitedMs > GRACE_MS - 20, `${waitedMs} ms for ${statistics}`);
  }
});
