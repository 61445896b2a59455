import assert from "node:assert/strict";
import type { Clock } from "../../control-plane/app/clock.ts";
import { startControlPlane } from "../../control-plane/main.ts";
import { loadControlPlaneSettings } from "../../control-plane/settings.ts";
import { type Log, SILENT } from "../../proto/log.ts";
import { formatAddress } from "../../proto/settings.ts";
import { defineFault } from "./fault.ts";
import type { Figure } from "./figures.ts";
import { Hosts } from "./hosts.ts";
import { LiveMap } from "./live_map.ts";
import { between, type Chance } from "./seed.ts";

interface Sizes {
  readonly hosts: number;
  readonly ttlMs: number;
  readonly jumps: number;
}

const HOUR_MS = 3_600_000;
const SLACK_MS = 3_000;

/** The clock on the wall is for people: whatever it does, time goes on. */
export const clockJumps = defineFault<Sizes>({
  name: "F21",
  fault: "the clock jumps by up to an hour, forwards and backwards",
  promise: "no lease expires for it; one whose host crashed ends all the same; writes, reads and watches go on",
  small: { hosts: 6, ttlMs: 1_000, jumps: 6 },
  full: { hosts: 50, ttlMs: 2_000, jumps: 60 },
  run,
});

async function run({ hosts: count, ttlMs, jumps }: Sizes, chance: Chance): Promise<readonly Figure[]> {
  let offsetMs = 0;
  await using plane = await startWith({
    wall: () => Date.now() + offsetMs,
    monotonic: () => performance.now(),
  });
  using hosts = new Hosts({ grpc: plane.grpc, ttlMs });
  let least = Infinity;
  using map = new LiveMap(
    plane.grpc,
    "local",
    (services) => least = Math.min(least, services.get("s0")?.instances.length ?? 0),
  );
  for (let n = 0; n < count; n++) await hosts.add(`host-${n}`, 1, 1);
  const crashing = await hosts.add("crashing", 1, 1);
  await map.until("all are there", (services) => services.get("s0")?.instances.length === count + 1, SLACK_MS);
  least = Infinity;
  for (let n = 0; n < jumps; n++) {
    // To one of the ends more often than in between.
    offsetMs = [-HOUR_MS, HOUR_MS, between(chance, -HOUR_MS, HOUR_MS)][n % 3] ?? 0;
    // Not in step with the beats.
    await new Promise((resolve) => setTimeout(resolve, between(chance, ttlMs / 4, ttlMs)));
    await hosts.add(`after-jump-${n}`, 1, 1);
  }
  const standing = count + 1 + jumps;
  await map.until("all are there", (services) => services.get("s0")?.instances.length === standing, SLACK_MS);
  assert.ok(least >= count + 1, "an instance was removed");
  assert.equal(hosts.over.size, 0, "a lease has ended");
  hosts.silence([crashing]);
  const is = (ids: readonly string[]) => !ids.includes("crashing-0");
  await map.until(
    "the crashed one is gone",
    (services) => is((services.get("s0")?.instances ?? []).map(({ id }) => id)),
    ttlMs + SLACK_MS,
  );
  return [
    { name: "jumps", value: jumps },
    { name: "leases that ended for it", value: hosts.over.size, most: 0 },
  ];
}

async function startWith(clock: Clock) {
  const args = ["--store", "memory:", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"];
  const loaded = loadControlPlaneSettings({ args, env: {} });
  if (loaded.kind !== "settings") throw new Error(JSON.stringify(loaded));
  const errors: string[] = [];
  const log: Log = { ...SILENT, error: (message, fields) => errors.push(`${message}: ${fields?.["error"]}`) };
  const running = await startControlPlane(loaded.settings, log, clock);
  return {
    grpc: formatAddress(running.grpc),
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]();
      assert.deepEqual(errors, []);
    },
  };
}
