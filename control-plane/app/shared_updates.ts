/** One update for all who are owed the same, so that it is encoded once for all of them. */
import type { ClusterMap, Position } from "../domain/cluster_map.ts";
import type { Realm, ServiceName } from "../domain/names.ts";
import { collect, type Scope, since, type Update } from "../domain/update.ts";

// More names than this are seldom owed to two watchers alike.
const MOST_NAMES = 16;

/** Remembers the updates of the newest map only. */
export class SharedUpdates {
  #map: ClusterMap | undefined;
  #updates = new Map<string, Update>();

  since(map: ClusterMap, scope: Scope, after?: Position): Update {
    const make = () => since(map, scope, after);
    if (scope.services) return make();
    return this.#remember(map, `${scope.realm}/${after ? `${after.epoch}.${after.revision}` : ""}`, make);
  }

  collect(map: ClusterMap, realm: Realm, names: ReadonlySet<ServiceName>): Update {
    const make = () => collect(map, realm, names);
    if (names.size > MOST_NAMES) return make();
    const key = names.size === 1 ? [...names][0] : [...names].sort().join();
    return this.#remember(map, `${realm}:${key}`, make);
  }

  #remember(map: ClusterMap, key: string, make: () => Update): Update {
    if (this.#map !== map) {
      this.#map = map;
      this.#updates = new Map();
    }
    const known = this.#updates.get(key);
    if (known) return known;
    const update = make();
    this.#updates.set(key, update);
    return update;
  }
}
