/** A control plane without sockets, to be fuzzed: what its map is, and what it took for its own fault. */
import assert from "node:assert/strict";
import { httpApp } from "../../control-plane/transport/http.ts";
import { testPorts } from "../../control-plane/transport/testing.ts";
import { Chance } from "./fuzz.ts";

export const SEED = Number(Deno.env.get("PORTOLAN_FUZZ_SEED") ?? Math.floor(Math.random() * 2 ** 31));

async function fuzzedPlane() {
  await using stack = new AsyncDisposableStack();
  const parts = stack.use(await testPorts({ clock: { wall: () => 7, monotonic: () => 7 } }));
  const app = httpApp(parts.ports, new AbortController().signal);
  const running = stack.move();
  return {
    ...parts,
    request: async (path: string, init?: RequestInit) =>
      await app.fetch(new Request(`http://localhost${path}`, init), { peer: "fuzz" }),
    /** The whole map: another object once anything was written. */
    map: () => parts.hub.current(),
    /** Fails with what was logged as an error, and where places are left behind. */
    assertNoFaults: () => {
      assert.deepEqual(parts.faults, []);
      assert.deepEqual([parts.requests.taken, parts.watches.taken], [0, 0], "a place is left taken");
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

export type FuzzedPlane = Awaited<ReturnType<typeof fuzzedPlane>>;

/** Runs `once` that often; a failure says how to see it again. The map begins anew now and then, so that it stays small. */
export async function fuzz(times: number, once: (plane: FuzzedPlane, chance: Chance) => Promise<void>): Promise<void> {
  const chance = new Chance(SEED);
  for (let done = 0; done < times;) {
    await using plane = await fuzzedPlane();
    for (const until = Math.min(times, done + 5_000); done < until; done++) {
      try {
        await once(plane, chance);
        plane.assertNoFaults();
      } catch (error) {
        throw new Error(`Case ${done} of PORTOLAN_FUZZ_SEED=${SEED}: ${(error as Error).message}`, { cause: error });
      }
    }
  }
}

/** Were nearly all of what is made up refused, it would not reach far. */
export function assertMany(accepted: number, of: number): void {
  assert.ok(accepted > of / 10, `${accepted} of ${of} accepted, with PORTOLAN_FUZZ_SEED=${SEED}`);
}
