/** A control plane in memory, for tests from outside: where it listens, and what its map says. */
import assert, { AssertionError } from "node:assert/strict";
import { startControlPlane } from "../../control-plane/main.ts";
import { loadControlPlaneSettings } from "../../control-plane/settings.ts";
import { type Log, SILENT } from "../../proto/log.ts";
import { formatAddress } from "../../proto/settings.ts";

export async function startedControlPlane() {
  const args = ["--store", "memory:", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"];
  const loaded = loadControlPlaneSettings({ args, env: {} });
  if (loaded.kind !== "settings") throw new Error(JSON.stringify(loaded));
  const errors: string[] = [];
  const log: Log = { ...SILENT, error: (message, fields) => errors.push(`${message}: ${fields?.["error"]}`) };
  const running = await startControlPlane(loaded.settings, log);
  const http = `http://${formatAddress(running.http)}`;
  return {
    /** Begins every URL. */
    http,
    /** `host:port`. */
    grpc: formatAddress(running.grpc),
    /** A realm's services and the position of the whole map, as text: any commit of any realm changes it. */
    map: async (realm = "local") => await (await fetch(`${http}/api/v1/realms/${realm}/map`)).text(),
    /** Before the end of the test. */
    stop: () => running[Symbol.asyncDispose](),
    /** Fails a test whose requests were taken for bugs. */
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]();
      assert.deepEqual(errors, [], "the control plane has logged errors");
    },
  };
}

export type StartedControlPlane = Awaited<ReturnType<typeof startedControlPlane>>;

/** Holds every case to `check`, and fails with all that do not hold. */
export async function each<T>(cases: readonly T[], check: (one: T) => Promise<void>): Promise<void> {
  const failures: string[] = [];
  for (const one of cases) {
    try {
      await check(one);
    } catch (error) {
      if (!(error instanceof AssertionError)) throw error;
      failures.push(error.message.slice(0, 600));
    }
  }
  if (failures.length > 0) throw new AssertionError({ message: failures.join("\n\n") });
}
