/** The map that a watcher's updates add up to, and whether the control plane says the same. */
import assert from "node:assert/strict";
import { DiscoveryService, type GetMapResponse, type Part } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { createClient } from "../../proto/grpc.ts";
import { type At, type Update, updateOf } from "./oracle_watch.ts";
import type { Plane } from "./plane.ts";

export class Folded {
  /** Unset: nothing is held. */
  position: At | undefined;
  #services = new Map<string, string>();

  /** What is not in the new scope is let go; without `after`, everything is. */
  subscribed(services: readonly string[], after: At | undefined): void {
    if (!after) this.#services.clear();
    for (const name of this.#services.keys()) {
      if (services.length > 0 && !services.includes(name)) this.#services.delete(name);
    }
    this.position = after;
  }

  take({ position, complete, set, deleted }: Update): void {
    if (complete) this.#services.clear();
    for (const { name, text } of set) this.#services.set(name, text);
    for (const name of deleted) this.#services.delete(name);
    this.position = position;
  }

  /** Fails unless a read in the same scope says the same. */
  async assertServed(plane: Plane, realm: string, services: readonly string[], who: string): Promise<void> {
    const { set } = await readMap(plane, realm, services);
    assert.deepEqual([...this.#services.values()].sort(), set.map(({ text }) => text).sort(), `${who}: another map`);
  }
}

/** A read of the map, as one complete update. */
export async function readMap(
  { grpc }: Pick<Plane, "grpc">,
  realm: string,
  services: readonly string[],
): Promise<Update> {
  const client = createClient(DiscoveryService, grpc, { "grpc.use_local_subchannel_pool": 1 });
  try {
    const parts: Part[] = [];
    const answer = client.getMap({ scope: { realm, services: [...services] } }, { timeoutMs: 20_000 });
    for await (const { part } of answer as AsyncIterable<GetMapResponse>) if (part) parts.push(part);
    return updateOf(parts);
  } finally {
    client.close();
  }
}
